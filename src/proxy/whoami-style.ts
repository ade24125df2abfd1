/** The style of the echo page, a constant so that its hash can stand in the page's Content-Security-Policy. */
import { type Html, raw } from '../lib/html.ts';

export const whoamiStyle: Html = raw`
:root { color-scheme: light dark; --ground: #f3f6f5; --surface: #fff; --ink: #13211f; --quiet: #52635f; --line: #dbe3e0; --accent: #0f766e; }
@media (prefers-color-scheme: dark) {
  :root { --ground: #0c1413; --surface: #141e1c; --ink: #e9f0ee; --quiet: #a3b4af; --line: #273532; --accent: #4fd1bd; }
}
* { box-sizing: border-box; }
body { margin: 0; font: 100%/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif; color: var(--ink); background: var(--ground); }
main { display: grid; grid-template-columns: minmax(0, 1fr); gap: 1.5rem; max-width: 56rem; margin: 0 auto; padding: clamp(1.5rem, 6vh, 4rem) 1.25rem; }
h1, h2, p { margin: 0; }
h1 { font-size: 1.625rem; font-weight: 650; line-height: 1.2; letter-spacing: -0.015em; text-wrap: balance; }
h2 { font-size: 1.0625rem; font-weight: 650; }
header { display: grid; gap: 0.75rem; }
section { padding: 1.5rem; border: 1px solid var(--line); border-radius: 1.25rem; background: var(--surface); box-shadow: 0 4px 14px rgb(16 40 36 / 0.06); }
section > p { margin-bottom: 0.75rem; font-size: 0.875rem; color: var(--quiet); }
code, th, td { font-family: ui-monospace, "SF Mono", Menlo, Consolas, "Liberation Mono", monospace; font-size: 0.875rem; }
.request { overflow-wrap: anywhere; }
.request b { padding: 0.125rem 0.5rem; border: 1px solid var(--line); border-radius: 0.5rem; color: var(--accent); background: var(--surface); }
table { width: 100%; border-collapse: collapse; table-layout: fixed; }
tr { border-top: 1px solid var(--line); }
th, td { padding: 0.625rem 0; text-align: left; vertical-align: top; overflow-wrap: anywhere; }
th { width: 17rem; padding-right: 1rem; font-weight: 500; color: var(--quiet); }
#identity ~ table td { font-weight: 600; }
.absent { font-style: italic; font-weight: 400; color: var(--quiet); }
@media (max-width: 40rem) {
  section { padding: 1.25rem; }
  tr, th, td { display: block; width: auto; padding: 0; }
  tr { padding: 0.625rem 0; }
}
`;
