"""What looks at the pages finds each planted fault, and nothing wrong with a sound page."""

from PIL import Image

from tests.pages import screenshots
from tests.pages.browser import find_problems

FIGURE = """<svg role="img" aria-label="A curve" viewBox="0 0 100 60" width="300">
<path d="M0 0L90 50" stroke="currentColor"/><text x="9" y="50" font-size="9">epoch</text></svg>"""
PIXEL = "data:image/gif;base64,R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7"
SOUND = f"""<!doctype html><html lang="en"><head><meta charset="utf-8"><title>A page</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="data:,"><style>
:root {{ color-scheme: light dark }} body {{ background: Canvas }} svg, img {{ max-width: 100% }}
.scroll {{ overflow-x: auto }} th, td {{ padding: 0 90px }}</style></head><body>
<nav aria-label="On this page"><a href="#rows">Rows</a></nav><main><h1>A page</h1>
<h2 id="rows">Rows</h2><div class="scroll" tabindex="0" role="group" aria-labelledby="c">
<table><caption id="c">Images by class, which are as wide as a table is</caption>
<tr><th scope="col">Class</th><th scope="col">Images</th><th scope="col">Share</th>
<th scope="col">Accuracy</th><th scope="col">Precision</th><th scope="col">Recall</th></tr>
<tr><th scope="row">cat</th><td>7</td><td>1</td><td>1</td><td>1</td><td>1</td></tr></table></div>
{FIGURE}<img src="{PIXEL}" alt="One pixel">
<details><summary>More</summary><p>There is more.</p></details></main></body></html>"""

FAULTS = {
    "console error": ("</main>", "</main><script>console.error('oh')</script>"),
    "console warning": ("</main>", "</main><script>console.warn('oh')</script>"),
    "script error": ("</main>", "</main><script>missing()</script>"),
    "dialog": ("</main>", "</main><script>alert(1)</script>"),
    "request": ("</main>", "<link rel=stylesheet href='https://example.invalid/x.css'></main>"),
    "failed request": ("</main>", "<link rel=stylesheet href='missing.css'></main>"),
    "image not loaded": (PIXEL, "data:image/gif;base64,AAAA"),
    "figure not drawn": ('<path d="M0 0L90 50" stroke="currentColor"/>', ""),
    "figure with letters too small": ('font-size="9"', 'font-size="2"'),
    "390 px, light: overflow": ("<p>There", "<p style='width: 600px'>Wide.</p><p>There"),
    "dark: axe color-contrast": ("</style>", "@media (prefers-color-scheme: dark) "
                                 "{ h1 { color: #333 } }</style>"),
    "light: axe color-contrast": ("<p>There", "<p style='color: light-dark(#ddd, #fff)'>There"),
    "axe region": ("</main>", "</main><p>Beside all landmarks.</p>"),
    "axe heading-order": ("<h2", "<h4"),
    "axe image-alt": (' alt="One pixel"', ""),
    "axe html-has-lang": (' lang="en"', ""),
    "keyboard: Tab does not reach what scrolls": ('tabindex="0" role', 'tabindex="-1" role'),
    "keyboard: Tab does not reach <summary>": ("<summary>", '<summary tabindex="-1">'),
    "keyboard: the focus is not seen on <a>": ("</style>", "a { outline: none }</style>"),
    "keyboard: Enter does not open": ("<summary", '<summary onkeydown="return false"'),
}  # fmt: skip


def test_a_sound_page_has_no_problem(page_check, tmp_path):
    page = tmp_path / "page.html"
    page.write_text(SOUND, encoding="utf-8")
    page_check(page)


def test_every_planted_fault_is_found(browser, tmp_path):
    text = SOUND
    for found, planted in FAULTS.values():
        assert found in text
        text = text.replace(found, planted, 1)
    page = tmp_path / "page.html"
    page.write_text(text, encoding="utf-8")
    problems = find_problems(browser, page)
    missing = [one for one in FAULTS if not any(one in line for line in problems)]
    assert missing == [], problems


def test_pictures_of_a_page_are_small_and_differ(browser, tmp_path):
    page = tmp_path / "page.html"
    page.write_text(SOUND, encoding="utf-8")
    wide, narrow = screenshots.take(browser, page, tmp_path / "images")
    with Image.open(wide) as light, Image.open(narrow) as dark:
        assert (light.size, dark.size) == ((1280, 900), (390, 844))
        corners = [shot.convert("L").getpixel((2, 300)) for shot in (light, dark)]
    assert corners[0] > 200 > 60 > corners[1]
    assert max(file.stat().st_size for file in (wide, narrow)) <= screenshots.MAX_BYTES
