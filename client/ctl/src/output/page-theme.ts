/** What all pages of this program have in common: the colours of a light and a dark screen, and the fonts. */
export const pageTheme = `:root {
  color-scheme: light dark;
  --page: #ffffff; --panel: #f5f6f8; --line: #d3d7de; --text: #1b1f26; --muted: #525a67;
  --served: #8a3b00; --served-back: #fdeee0; --rules: #7a5200; --rules-back: #fdf5d8;
  --refused: #14603a; --refused-back: #e5f5ec; --bad: #a3161d; --bad-back: #fdeaea;
  --good: #14603a; --good-back: #e5f5ec; --accent: #1f4fa3; --bar: #5b83c4;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #14171c; --panel: #1d2128; --line: #3a414c; --text: #e6e9ee; --muted: #a9b1bd;
    --served: #ffb27a; --served-back: #3a2412; --rules: #f2d06b; --rules-back: #352c0d;
    --refused: #7fd6a4; --refused-back: #12301f; --bad: #ff9b9b; --bad-back: #3d1719;
    --good: #7fd6a4; --good-back: #12301f; --accent: #9dbdff; --bar: #6f96d8;
  }
}
* { box-sizing: border-box; }
html { font: 16px/1.5 system-ui, sans-serif; background: var(--page); color: var(--text); -webkit-text-size-adjust: 100%; }
body { margin: 0; overflow-wrap: anywhere; }
`;
