"""The sans-IO heart: what a call is and how it passes the layers.

Law of this folder: nothing here does I/O, reads a clock, starts a thread or knows an event loop, and nothing
here imports the OpenAI SDK. What must be done in the world leaves as an effect (`effects.py`) and is done by a
driver (`llmstack._drivers`).
"""
