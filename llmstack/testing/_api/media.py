"""Images and audio: tiny, but valid, files."""

from __future__ import annotations

import base64
import hashlib
import io
import struct
import wave
import zlib

from llmstack.testing._api.answer import Answer, BytesAnswer, Event, EventAnswer, Json, JsonAnswer
from llmstack.testing._api.errors import ApiError
from llmstack.testing._api.routing import ApiCall
from llmstack.testing._api.text import CREATED, count_tokens, split_tokens

_SPEECH_TYPES = {
    "mp3": "audio/mpeg",
    "opus": "audio/ogg",
    "aac": "audio/aac",
    "flac": "audio/flac",
    "wav": "audio/wav",
    "pcm": "audio/pcm",
}


def create_image(call: ApiCall) -> Answer:
    """Generations, edits and variations: one coloured pixel, its colour from the prompt."""
    prompt = str(call.body.get("prompt", ""))
    tokens = count_tokens(prompt)
    details = {"image_tokens": 0, "text_tokens": tokens}
    usage = {
        "input_tokens": tokens,
        "output_tokens": 1,
        "total_tokens": tokens + 1,
        "input_tokens_details": details,
    }
    pixel = base64.b64encode(_pixel(prompt)).decode()
    if call.stream:
        kind = "image_edit" if call.path.endswith("/edits") else "image_generation"
        name = f"{kind}.completed"
        form = {"background": "opaque", "output_format": "png", "quality": "low", "size": "1024x1024"}
        event = {"type": name, "b64_json": pixel, "created_at": CREATED, "usage": usage, **form}
        return EventAnswer((Event(event, name=name),))
    number = int(call.body.get("n") or 1)
    if call.body.get("response_format") == "url":
        data: list[Json] = [{"url": f"https://images.invalid/{i + 1}.png"} for i in range(number)]
    else:
        data = [{"b64_json": pixel} for _ in range(number)]
    return JsonAnswer({"created": CREATED, "data": data, "usage": usage})


def _pixel(prompt: str) -> bytes:
    colour = hashlib.sha256(prompt.encode()).digest()[:3]

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0)
    rows = zlib.compress(b"\x00" + colour)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def create_speech(call: ApiCall) -> Answer:
    """The input's own characters as samples: a real file for ``wav``, the bare samples otherwise."""
    form = str(call.body.get("response_format", "mp3"))
    if form not in _SPEECH_TYPES:
        raise ApiError(400, f"Invalid 'response_format': {form!r}.", param="response_format")
    samples = str(call.body.get("input", "")).encode("utf-16-le")
    return BytesAnswer(_wav(samples) if form == "wav" else samples, _SPEECH_TYPES[form])


def _wav(samples: bytes) -> bytes:
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(24_000)
        sound.writeframes(samples)
    return buffer.getvalue()


def create_transcription(call: ApiCall) -> Answer:
    """Transcriptions and translations: the text names the file and its length in bytes."""
    sound = next((part for part in call.parts if part.name == "file"), None)
    if sound is None:
        raise ApiError(400, "Missing required parameter: 'file'.", param="file")
    text = f"Transcript of {sound.filename} ({len(sound.content)} bytes)"
    form = call.body.get("response_format", "json")
    if call.stream:
        return EventAnswer(tuple(_transcript_events(text)))
    if form in {"text", "srt", "vtt"}:
        return BytesAnswer(f"{text}\n".encode(), "text/plain; charset=utf-8")
    if form == "verbose_json":
        segment = {"id": 0, "seek": 0, "start": 0.0, "end": 1.0, "text": text, "tokens": [1], "temperature": 0.0}
        scores = {"avg_logprob": -0.1, "compression_ratio": 1.0, "no_speech_prob": 0.0}
        whole = {"task": "transcribe", "language": "english", "duration": 1.0, "text": text}
        return JsonAnswer({**whole, "segments": [{**segment, **scores}]})
    return JsonAnswer({"text": text, "usage": {"type": "duration", "seconds": 1}})


def _transcript_events(text: str) -> list[Event]:
    deltas: list[Json] = [{"type": "transcript.text.delta", "delta": piece} for piece in split_tokens(text)]
    return [Event(data, name=data["type"]) for data in (*deltas, {"type": "transcript.text.done", "text": text})]
