"""Text in both languages: what a page shows is either a number or a :class:`Words`."""

from dataclasses import dataclass
from html import escape


@dataclass(frozen=True)
class Words:
    """The same text in English and in Chinese, plain (not yet escaped)."""

    en: str
    zh: str

    @classmethod
    def same(cls, text: str) -> "Words":
        """Return a name or a figure that both languages write alike."""
        return cls(text, text)

    def __html__(self) -> str:
        """Return both texts as spans of which the page shows one; templates insert this without escaping."""
        if self.en == self.zh:
            return escape(self.en)
        return f'<span class="en">{escape(self.en)}</span><span class="zh" lang="zh">{escape(self.zh)}</span>'

    def __str__(self) -> str:
        """Return the English text."""
        return self.en
