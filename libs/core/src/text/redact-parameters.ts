import { HIDDEN } from './hidden.js';

/**
 * A name that announces a secret, with the characters between the name and the value. `pass` and
 * `token` are words of ordinary messages as well (`Unexpected token: }`), so they count only before an
 * equals sign or a quoted value.
 */
const NAME =
  /(?:password|passwd|passphrase|pwd|secret(?:[-_]?(?:access[-_]?)?key)?|authorization|api[-_]?key|(?:access|auth|refresh|session)[-_]?token|(?:pass|token)(?=(?:\\*["'`])?[ \t]{0,8}(?:=|:[ \t]{0,8}\\*["'`])))(?:\\*["'`])?[ \t]{0,8}(?:=>|[=:])[ \t]{0,8}/gi;
const OPENING_QUOTE = /(\\*)(["'`])/y;
/**
 * Matches the end of a value without quotes: the next parameter, or the end of the surrounding text.
 * No part of the expression may start a search at each character of a run; the time for a long run
 * would grow with the square of its length.
 */
const VALUE_END =
  /[&;\r\n]|(?<=[ \t,])[\w.-]+[ \t]?[=:]|["'`](?=[ \t]{0,8}(?:[,}\])\s:;]|$))|[}\]](?=[\s,}\])]|$)/g;

/** Hides the value of every `password=…`, `"password": "…"` and the like. */
export function redactParameters(text: string): string {
  let result = '';
  let done = 0;
  NAME.lastIndex = 0;
  for (let found = NAME.exec(text); found !== null; found = NAME.exec(text)) {
    const from = found.index + found[0].length;
    const { open, to } = valueAt(text, from);
    result += text.slice(done, from + open) + HIDDEN;
    done = to;
    NAME.lastIndex = Math.max(to, from);
  }
  return result + text.slice(done);
}

/** The length of the quote in front of the value, which is kept, and the position of the value's end. */
function valueAt(text: string, from: number): { readonly open: number; readonly to: number } {
  OPENING_QUOTE.lastIndex = from;
  const quote = OPENING_QUOTE.exec(text)?.[0];
  if (quote !== undefined) return { open: quote.length, to: closingQuote(text, from, quote) };
  VALUE_END.lastIndex = from;
  const end = VALUE_END.exec(text);
  return { open: 0, to: end === null ? text.length : withoutTail(text, from, end.index) };
}

/** Blanks, commas and backslashes directly before the end are no part of the value. */
function withoutTail(text: string, from: number, end: number): number {
  let to = end;
  while (to > from && ' \t,\\'.includes(text.charAt(to - 1))) to -= 1;
  return to;
}

/**
 * The position of the quote that ends the value; the end of the text if there is none, so that the
 * rest is hidden.
 */
function closingQuote(text: string, from: number, quote: string): number {
  const mark = quote.slice(-1);
  let backslashes = 0;
  for (let at = from + quote.length; at < text.length; at += 1) {
    if (text[at] === '\\') {
      backslashes += 1;
      continue;
    }
    // As many backslashes as before the opening quote: JSON within JSON, and the value ends. With more
    // of them, the quote is part of the value.
    if (text[at] === mark && backslashes <= quote.length - 1) return at - backslashes;
    backslashes = 0;
  }
  return text.length;
}
