import { HIDDEN } from './hidden.js';

const SCHEME_END = '://';
/** The user's name, up to the colon that begins a password. */
const USER = /[^\s:/?#@"'`<>]*:/y;
/**
 * A port without a password: digits, perhaps a path without `@`, and then a query or the end of the
 * url.
 */
const PORT = /\d{1,5}(?=\/[^@?#\s"]*(?:[?#\s"'),;]|$)|["'),;]|\s|$)/y;
/** A port of a web page, whose path may hold `@`: `http://registry:4873/@scope/name`. */
const WEB_PORT = /\d{1,5}(?=[/?#])/y;
/** A host followed by a path or a port, as it comes after a password. */
const HOST_WITH_MORE = /[\w.,%[\]-]*(?:\/|:\d)/y;
/** The same, or a host that is followed by a character which ends it. */
const COMPLETE_HOST = /[\w.,%[\]-]*(?:\/|:\d)|[\w.,%[\]-]+(?:[?"'`)>]|$)/y;

/** Hides the password of every `scheme://user:password@host`. */
export function redactUrls(text: string): string {
  let result = '';
  let done = 0;
  let at = text.indexOf(SCHEME_END);
  while (at !== -1) {
    const begin = at + SCHEME_END.length;
    const next = text.indexOf(SCHEME_END, begin);
    // The parts of the text that are searched do not overlap, so the time grows only with its length.
    const end = endOfUrl(text, begin, next);
    const user = matchAt(USER, text, begin);
    if (user !== null && begin + user.length <= end) {
      const from = begin + user.length;
      const to = endOfPassword(text, from, end, isWeb(text, at));
      if (to !== -1) {
        result += text.slice(done, from) + HIDDEN;
        done = to;
      }
    }
    at = next;
  }
  return result + text.slice(done);
}

/** The end of a url: the end of its line, or the beginning of the next url. */
function endOfUrl(text: string, begin: number, next: number): number {
  const end = next === -1 ? text.length : next;
  const line = text.slice(begin, end).indexOf('\n');
  return line === -1 ? end : begin + line;
}

/** The position of the `@` after the password; -1 if there is no password. */
function endOfPassword(text: string, from: number, end: number, web: boolean): number {
  const region = text.slice(from, end);
  if (web && matchAt(WEB_PORT, region, 0) !== null) return -1;
  const signs = allAt(region);
  const complete = signs.filter((sign) => isComplete(region, sign));
  // Digits followed by a blank are a password nevertheless when an `@` and such a host follow.
  if (
    matchAt(PORT, region, 0) !== null &&
    !signs.some((sign) => matchAt(HOST_WITH_MORE, region, sign + 1) !== null)
  ) {
    return -1;
  }
  const blank = region.search(/[\s"]/);
  const inFirstRun = signs.filter((sign) => blank === -1 || sign < blank).at(-1);
  const sign =
    inFirstRun !== undefined && isComplete(region, inFirstRun)
      ? inFirstRun
      : (complete.at(-1) ?? inFirstRun ?? signs.at(-1));
  return sign === undefined ? -1 : from + sign;
}

function allAt(text: string): readonly number[] {
  const found: number[] = [];
  for (let at = text.indexOf('@'); at !== -1; at = text.indexOf('@', at + 1)) found.push(at);
  return found;
}

function isComplete(text: string, sign: number): boolean {
  return matchAt(COMPLETE_HOST, text, sign + 1) !== null;
}

function isWeb(text: string, schemeEnd: number): boolean {
  return /(?:^|[^a-z0-9+.-])(?:https?|wss?)$/i.test(
    text.slice(Math.max(0, schemeEnd - 6), schemeEnd),
  );
}

function matchAt(pattern: RegExp, text: string, at: number): string | null {
  pattern.lastIndex = at;
  return pattern.exec(text)?.[0] ?? null;
}
