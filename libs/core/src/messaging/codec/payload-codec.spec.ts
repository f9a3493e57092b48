import { describe, expect, it } from 'vitest';
import { HEADERS } from '../../ports/index.js';
import {
  decodeBody,
  encodeBody,
  jsonCodec,
  MalformedPayloadError,
  readsContentType,
  UnencodableValueError,
  UnexpectedContentTypeError,
  type PayloadCodec,
  type PayloadDescription,
} from './index.js';
import { linesCodec } from './lines-codec.fixture.js';

const WHAT = "The payload of 'order.noted'";
const body = (contentType: string, text: string, headers: Record<string, string> = {}) => ({
  contentType,
  payload: Buffer.from(text),
  headers,
});

describe('a codec', () => {
  it('reads what it has written', () => {
    const payload = encodeBody(linesCodec, { lines: ['a', 'ü'] }, WHAT);
    const read = decodeBody(
      linesCodec,
      { contentType: 'text/x-lines', payload, headers: {} },
      WHAT,
    );
    expect(read).toEqual({ lines: ['a', 'ü'] });
  });

  it.each([
    ['text/x-lines', true],
    ['Text/X-Lines; charset=utf-8', true],
    ['text/plain', false],
    ['application/octet-stream', false],
    ['', false],
  ])('that does not say which content types it reads takes its own: %s', (contentType, reads) => {
    expect(readsContentType(linesCodec, contentType)).toBe(reads);
  });

  it('may say which content types it reads', () => {
    const wide: PayloadCodec = { ...linesCodec, reads: (type) => type.startsWith('text/') };
    expect(decodeBody(wide, body('text/plain', 'a\n'), WHAT)).toEqual({ lines: ['a'] });
  });

  it.each([
    ['application/json', true],
    ['APPLICATION/JSON ; charset="UTF-8"', true],
    ['application/vnd.acme.order+json', true],
    ['text/json', true],
    ['application/json; charset=latin1', false],
    ['text/plain', false],
    ['application/octet-stream', false],
    ['application/jsonp', false],
  ])('of JSON reads what is JSON in UTF-8: %s', (contentType, reads) => {
    expect(readsContentType(jsonCodec, contentType)).toBe(reads);
  });

  it('never sees a body of a content type that it does not read', () => {
    // The bytes are valid JSON, and would be read as the number 7.
    const decode = (): unknown => decodeBody(jsonCodec, body('text/x-lines', '7\n'), WHAT);
    expect(decode).toThrow(UnexpectedContentTypeError);
    expect(decode).toThrow(
      "The payload of 'order.noted' has the content type 'text/x-lines', which the contract's codec for application/json does not read.",
    );
  });

  it('is told what the message says about its body', () => {
    const told: PayloadDescription[] = [];
    const codec: PayloadCodec = { ...linesCodec, decode: (_, described) => told.push(described) };
    decodeBody(codec, body('text/x-lines;v=2', '', { [HEADERS.dataSchema]: 'urn:a:2' }), WHAT);
    decodeBody(codec, body('text/x-lines', ''), WHAT);
    expect(told).toEqual([
      { contentType: 'text/x-lines;v=2', dataSchema: 'urn:a:2' },
      { contentType: 'text/x-lines', dataSchema: null },
    ]);
  });

  it('that cannot read the bytes has met a malformed payload, which no attempt can cure', () => {
    const decode = (): unknown => decodeBody(linesCodec, body('text/x-lines', 'a'), WHAT);
    expect(decode).toThrow(MalformedPayloadError);
    expect(decode).toThrow('The payload is not valid text/x-lines.');
    expect(decode).toThrow(
      expect.objectContaining({ cause: new RangeError('the last line does not end') }),
    );
  });

  it('that refuses a value says so, which no attempt can cure', () => {
    const encode = (): unknown => encodeBody(linesCodec, { lines: ['a\nb'] }, WHAT);
    expect(encode).toThrow(UnencodableValueError);
    expect(encode).toThrow(
      "The payload of 'order.noted' cannot be encoded as text/x-lines: RangeError: a line has two lines.",
    );
    const path = (): unknown => encodeBody(jsonCodec, { at: NaN }, WHAT);
    expect(path).toThrow(expect.objectContaining({ code: 'SAGAZ_UNSERIALIZABLE_VALUE' }));
  });

  it('has to return bytes', () => {
    const texts = { ...linesCodec, encode: () => 'a\n' };
    const encode = (): unknown => Reflect.apply(encodeBody, undefined, [texts, {}, WHAT]);
    expect(encode).toThrow('cannot be encoded as text/x-lines: its codec returned no Uint8Array.');
  });
});
