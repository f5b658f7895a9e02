"""Music, mail, images and speech."""

from __future__ import annotations

import re

from ..store import Api, Rejected, State

_ADDRESS = re.compile(r"[a-z0-9]+[._]?[a-z0-9]+@\w+\.\w{2,3}")


def play_music(state: State, music_name: str) -> str:
    """Return the address that starts the player."""
    name = music_name.lower().strip()
    if not name:
        raise Rejected("The music name cannot be empty.")
    return f"music://{name}"


def send_email(state: State, receiver: str, subject: str, content: str) -> str:
    """Take a mail; it goes nowhere."""
    if not _ADDRESS.fullmatch(receiver.strip()):
        raise Rejected("Email address of the receiver is invalid.")
    if not subject.strip():
        raise Rejected("Subject cannot be empty.")
    if not content.strip():
        raise Rejected("Content cannot be empty.")
    return "success"


def image_caption(state: State, url: str) -> str:
    """Return the recorded caption of an image."""
    address = url.strip()
    if not address.endswith((".jpg", ".jpeg", ".png")):
        raise Rejected("The url should end with .jpg, .jpeg or .png.")
    for image in state.fixed("ImageCaptioning"):
        if image["url"] == address:
            return str(image["caption"])
    raise Rejected("The image of this url failed to be processed.")


def speech_recognition(state: State, url: str) -> str:
    """Return the recorded transcript of a sound."""
    address = url.strip()
    if not address.endswith(".wav"):
        raise Rejected("The url should end with .wav.")
    transcript = state.fixed("SpeechRecognition").get(address)
    if transcript is None:
        raise Rejected("The audio of this url failed to be processed.")
    return str(transcript)


APIS: dict[str, Api] = {
    "PlayMusic": play_music,
    "SendEmail": send_email,
    "ImageCaption": image_caption,
    "SpeechRecognition": speech_recognition,
}
