/**
 * Reads JSON text of which only the beginning is known, as far as it goes: what is open at its end is
 * closed, a text there ends with `…`, and any other member that is not whole is left out. Undefined: it
 * is no JSON, or says nothing yet.
 */
export function parseBeginning(text: string): unknown {
  /** The closing brackets of what is open, outermost first. */
  const open: string[] = [];
  /** The end of the last bracket, or the start of the last comma: the text can be closed there. */
  let safe = 0;
  let inText = false;
  /** The end of the last character that is whole, if the end is in a text. */
  let whole = 0;
  for (let at = 0; at < text.length; at = whole) {
    const char = text.charAt(at);
    whole = at + (inText && char === '\\' ? escapeLength(text.charAt(at + 1)) : 1);
    if (whole > text.length) {
      whole = at;
      break;
    }
    if (inText) {
      inText = char !== '"';
      continue;
    }
    switch (char) {
      case '"':
        inText = true;
        break;
      case '{':
      case '[':
        open.push(char === '{' ? '}' : ']');
        safe = whole;
        break;
      case '}':
      case ']':
        open.pop();
        safe = whole;
        break;
      case ',':
        safe = at;
        break;
      default:
        break;
    }
  }
  const closed = open.reverse().join('');
  // If the text at the end is a key, it has no value, and only what stands before it can be read.
  const shortened = inText ? parsed(`${text.slice(0, whole)}…"${closed}`) : undefined;
  return shortened ?? parsed(text.slice(0, safe) + closed);
}

/** How many characters an escape has; `next` is the one after the backslash. */
function escapeLength(next: string): number {
  return next === 'u' ? 6 : 2;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
