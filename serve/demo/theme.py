"""How the page looks: quiet, with fonts of the reader's own system, by day, in the dark and on a phone."""

from __future__ import annotations

from typing import Any

import gradio as gr

_FONTS = ["system-ui", "-apple-system", "Segoe UI", "Noto Sans", "sans-serif"]
_MONO = ["ui-monospace", "Consolas", "monospace"]

CSS = """
:root {--tw-match: #b42318; --tw-review: #8a5a00; --tw-none: #667085; --tw-line: #d0d5dd; --tw-soft: #475467;
  --tw-0: #b42318; --tw-1: #175cd3; --tw-2: #067647; --tw-3: #7a3fb3; --tw-4: #b54708; --tw-5: #0e7090}
.dark {--tw-match: #f97066; --tw-review: #fdb022; --tw-none: #98a2b3; --tw-line: #475467; --tw-soft: #cfd4dc;
  --tw-0: #f97066; --tw-1: #84caff; --tw-2: #47cd89; --tw-3: #bda0f0; --tw-4: #f7b27a; --tw-5: #67e3f9}
.gradio-container {width: 100% !important; max-width: 980px !important; margin: 0 auto !important; overflow-x: hidden}
:focus-visible {outline: 3px solid var(--tw-1) !important; outline-offset: 2px}
#article textarea, #note textarea {unicode-bidi: plaintext; text-align: start}
.tw {line-height: 1.55; overflow-wrap: anywhere}
.tw h3 {margin: 1.1em 0 .3em; font-size: 1.05em} .tw small, .tw .tw-soft {color: var(--tw-soft)}
.tw ul.tw-themes {list-style: none; margin: .6em 0; padding: 0}
.tw-theme {margin: .55em 0; display: grid; grid-template-columns: minmax(9em, 1fr) 2fr 13.5em;
  gap: .2em .9em; align-items: center}
.tw-bar {background: var(--tw-line); border-radius: 4px; position: relative; height: .85em}
.tw-band {position: absolute; top: 0; bottom: 0; opacity: .35; background: var(--tw-review)}
.tw-fill {border-radius: 4px; height: 100%; background: var(--tw-none); position: relative}
.tw-match .tw-fill {background: var(--tw-match)} .tw-review .tw-fill {background: var(--tw-review)}
.tw-limit {position: absolute; top: -.25em; bottom: -.25em; width: 2px; background: currentColor}
.tw-word {font-weight: 600} .tw-match .tw-word {color: var(--tw-match)} .tw-review .tw-word {color: var(--tw-review)}
.tw .tw-quote {margin: .4em 0 !important; padding: .4em .7em; border-inline-start: 4px solid var(--hue);
  unicode-bidi: plaintext; border-radius: 0 4px 4px 0}
.tw-quote, mark.tw-mark {color: inherit;
  background: color-mix(in srgb, var(--hue) calc(8% + var(--share) * 42%), transparent)}
mark.tw-mark {border-radius: 3px; padding: .05em 0}
.tw-full {white-space: pre-wrap; unicode-bidi: plaintext; text-align: start; max-width: 75ch}
.tw-key {display: inline-block; width: .8em; height: .8em; border-radius: 2px; background: var(--hue);
  margin-inline: 1em .35em} .tw-key:first-child {margin-inline-start: 0}
.tw details {margin: .8em 0} .tw summary {cursor: pointer; font-weight: 600; padding: .3em 0}
.tw [role=alert], .tw[role=alert] {border-inline-start: 4px solid var(--tw-match); padding: .4em .8em}
.tw [role=status] {border-inline-start: 4px solid var(--tw-2); padding: .4em .8em}
.tw table {border-collapse: collapse; width: 100%; margin: .5em 0} .tw caption {text-align: start}
.tw table tr th, .tw table tr td {text-align: start; padding: .3em .6em; border: 0; vertical-align: top;
  border-bottom: 1px solid var(--tw-line)}
.tw .tw-scroll {overflow-x: auto} .tw table tr td.tw-number {text-align: end; white-space: nowrap}
.tw-chart td:nth-child(2) {width: 60%; vertical-align: middle} .tw-chart th {font-weight: 400}
.tw-stack {display: flex; height: 1em} .tw-stack span {background: var(--hue); min-width: 2px}
.tw-range {position: absolute; top: 50%; height: 2px; background: currentColor}
progress {width: 100%; height: 1em; accent-color: var(--tw-1)}
#examples {flex-wrap: wrap; gap: .5em} #examples button {flex: 0 1 auto; min-width: 5.5em}
@media (max-width: 640px) {
  .tw-theme {grid-template-columns: 1fr auto} .tw-theme small {display: none}
  .tw-theme .tw-bar {grid-column: 1 / -1; grid-row: 2}
  .tw-articles thead {display: none} .tw-articles tr {display: block; padding: .5em 0}
  .tw table.tw-articles tr td {display: block; border: 0; padding: .1em 0}
  .tw-articles td[data-label]::before {content: attr(data-label) ": "; color: var(--tw-soft)}
  .tw-articles tr {border-bottom: 1px solid var(--tw-line)}
}
"""


def look() -> dict[str, Any]:
    """What ``launch`` and ``mount_gradio_app`` need to know of the looks; nothing is fetched from elsewhere."""
    theme = gr.themes.Base(
        primary_hue="slate", secondary_hue="slate", neutral_hue="gray", font=_FONTS, font_mono=_MONO
    ).set(
        body_background_fill="*neutral_50", block_shadow="none", block_border_width="1px",
        button_primary_background_fill="*primary_800", button_primary_background_fill_hover="*primary_700",
        button_primary_text_color="white", button_primary_background_fill_dark="*primary_300",
        button_primary_background_fill_hover_dark="*primary_200", button_primary_text_color_dark="*primary_950",
        body_text_color_subdued="*neutral_600", body_text_color_subdued_dark="*neutral_300",
        block_info_text_color="*neutral_600", block_info_text_color_dark="*neutral_300",
    )  # fmt: skip
    return {"theme": theme, "css": CSS}
