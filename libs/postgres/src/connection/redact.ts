/**
 * Takes passwords out of a text before people see it: the part of a url between user and host, and
 * `password=…` of connection strings and query parameters.
 */
export function redact(text: string): string {
  return text
    .replace(/([a-z][a-z0-9+.-]*:\/\/[^\s:/@]*):[^\s@]*@/gi, '$1:***@')
    .replace(/\b(password|passwd|pwd)\s*=\s*('[^']*'|[^\s&;]+)/gi, '$1=***');
}
