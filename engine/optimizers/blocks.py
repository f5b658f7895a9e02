"""The parts a prompt is made of, behind a fence that nothing quoted can contain."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from ..canonical import content_hash
from ..workspace import cut

# Tokens are estimated without a tokenizer, which would tie the engine to one provider. English
# and code take 3.5 to 4.5 bytes a token with the tokenizers in use, digits and other scripts
# about 3: bytes / 3 is too high for nearly all prompts. Where it is not, the provider's "too
# long" makes the optimizer ask again with less.
BYTES_PER_TOKEN = 3


@dataclass(frozen=True, slots=True)
class Block:
    """A line of structure and the text under it, which is quoted and untrusted."""

    kind: str
    detail: str = ""  # one line
    body: str = ""

    def cut(self, characters: int) -> Block:
        """Return the block with the middle of a longer body left out."""
        if len(self.body) <= characters:
            return self
        return replace(self, body=cut(self.body, characters))

    @property
    def size(self) -> int:
        """Bytes when rendered, a little more rather than less."""
        return 24 + byte_size(self.kind) + byte_size(self.detail) + byte_size(self.body)


def byte_size(text: str) -> int:
    """Return the length in UTF-8."""
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))


def tokens(size: int) -> int:
    """Return the estimated number of tokens of so many bytes."""
    return -(-size // BYTES_PER_TOKEN)


def fence_of(blocks: Iterable[Block]) -> str:
    """Return a fence that depends on all that it will separate: nobody can write it beforehand."""
    digest = content_hash([[block.kind, block.detail, block.body] for block in blocks])
    return f"[{digest[:12]}]"


def render(blocks: Iterable[Block], fence: str) -> str:
    """Return the blocks as text. A body that holds the fence, as an edit may, loses it.

    Lone surrogates are replaced: no wire carries them.
    """
    lines = []
    for block in blocks:
        lines.append(" ".join(part for part in (fence, block.kind, _line(block.detail)) if part))
        if block.body:
            lines.append(block.body.replace(fence, "[fence]").rstrip("\n"))
    text = "\n".join(lines) + "\n"
    return text if text.isascii() else whole(text)


def whole(text: str) -> str:
    """Return a text with lone surrogates replaced."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _line(text: str) -> str:
    """Return a text that stays on its line."""
    return " ".join(text.split()) if text.isprintable() else _printable(text)


def _printable(text: str) -> str:
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())
