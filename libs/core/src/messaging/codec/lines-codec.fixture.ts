import type { PayloadCodec } from './payload-codec.js';

/** A value of {@link linesCodec}. */
export interface Lines {
  readonly lines: readonly string[];
}

/** A codec that is not JSON: one line of text for each element. An empty body is no line. */
export const linesCodec: PayloadCodec<Lines> = {
  contentType: 'text/x-lines',
  encode: ({ lines }) => {
    if (lines.some((line) => line.includes('\n'))) throw new RangeError('a line has two lines');
    return Buffer.from(lines.map((line) => `${line}\n`).join(''));
  },
  decode: (payload) => {
    const text = Buffer.from(payload).toString();
    if (text !== '' && !text.endsWith('\n')) throw new RangeError('the last line does not end');
    return { lines: text.split('\n').slice(0, -1) };
  },
};
