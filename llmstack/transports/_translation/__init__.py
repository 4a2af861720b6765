"""Pure translations between the Chat Completions API and the Responses API, over JSON as dicts."""
