import { inspect } from 'node:util';
import { describe, expect, it } from 'vitest';
import { HEADERS, type Message } from '../../ports/index.js';
import { InvalidSigningKeyError, MessageSigning } from './index.js';

const OLD = 'an old key that is thirty-two bytes long';
const NEW = 'a new key that has at least thirty-two bytes';
const body = (text: string): Uint8Array => new TextEncoder().encode(text);
const message: Message = {
  id: '0198',
  tenant: 'acme',
  topic: 'payment',
  key: 'order-1',
  type: 'payment.charge',
  source: 'orders',
  time: '2026-11-21T10:00:00.000Z',
  contentType: 'application/json',
  payload: body('{"amount":5}'),
  headers: {
    traceparent: '00-ab-cd-01',
    [HEADERS.role]: 'command',
    [HEADERS.sagaId]: 'saga',
    [HEADERS.step]: 'charge',
    [HEADERS.idempotencyKey]: 'saga:charge',
    [HEADERS.replyTo]: 'orders.replies',
  },
};
const PUT_IN = [HEADERS.causationId, HEADERS.replyStatus, HEADERS.expiresAt, HEADERS.repliesTo];
const signing = (...keys: string[]): MessageSigning => new MessageSigning({ keys });
const signed = signing(NEW).sign(message);
const withHeaders = (headers: Record<string, string>): Message => ({
  ...signed,
  headers: { ...signed.headers, ...headers },
});
const without = (name: string): Message => {
  const { [name]: _, ...headers } = signed.headers;
  return { ...signed, headers };
};

describe('a signed message', () => {
  it('is believed as it was signed, and is the same each time it is signed', () => {
    expect(signing(NEW).verify(signed)).toBeNull();
    expect(signing(NEW).sign(message)).toEqual(signed);
    expect(signing(NEW).sign(signed)).toEqual(signed);
  });

  const attributes = [
    'id',
    'tenant',
    'topic',
    'key',
    'type',
    'source',
    'time',
    'contentType',
  ] as const;
  const changed: readonly (readonly [string, Message])[] = [
    ...attributes.map((name) => [`another ${name}`, { ...signed, [name]: 'x' }] as const),
    ['another payload', { ...signed, payload: body('{"amount":500}') }],
    ...[
      HEADERS.role,
      HEADERS.sagaId,
      HEADERS.step,
      HEADERS.idempotencyKey,
      HEADERS.replyTo,
    ].flatMap((name) => [
      [`another ${name}`, withHeaders({ [name]: 'x' })] as const,
      [`no ${name}`, without(name)] as const,
    ]),
    ...[...PUT_IN, HEADERS.dataSchema].map(
      (name) => [`a ${name} put in`, withHeaders({ [name]: 'x' })] as const,
    ),
    [
      'the end of a field put at the beginning of the next',
      { ...signed, tenant: 'acmepay', topic: 'ment' },
    ],
    [
      'the beginning of its body put at the end of a header',
      { ...withHeaders({ [HEADERS.step]: 'charge{' }), payload: body('"amount":5}') },
    ],
    [
      'a header moved into the text of another',
      {
        ...without(HEADERS.step),
        headers: {
          ...without(HEADERS.step).headers,
          [HEADERS.sagaId]: `saga${HEADERS.step}charge`,
        },
      },
    ],
  ];
  it.each(changed)('is not believed with %s', (_, forged) => {
    expect(signing(NEW).verify(forged)?.reason).toBe('bad_signature');
  });

  it('may get other headers on its way, as brokers and tracing give it', () => {
    expect(
      signing(NEW).verify(withHeaders({ traceparent: '00-ef-01-01', 'x-hop': '1' })),
    ).toBeNull();
  });

  it.each(['', 'v1=', 'v1=00000000:', 'v2=00000000:abc', 'x', `v1=00000000:${'A'.repeat(43)}`])(
    'is not believed with the signature "%s"',
    (signature) => {
      const forged = withHeaders({ [HEADERS.signature]: signature });
      expect(signing(NEW).verify(forged)?.reason).toBe('bad_signature');
    },
  );

  it('is told from one that is not signed, which is refused unless that is waived', () => {
    expect(signing(NEW).verify(message)?.reason).toBe('unsigned');
    const lenient = new MessageSigning({ keys: [NEW], unsigned: 'accept' });
    expect(lenient.verify(message)).toBeNull();
    expect(lenient.verify({ ...signed, key: 'x' })?.reason).toBe('bad_signature');
    expect(lenient.verify(signing(OLD).sign(message))?.reason).toBe('bad_signature');
  });

  it('is not believed with halves of characters, whose bytes are those of other halves', () => {
    const odd = signing(NEW).sign({ ...message, key: '\ud800' });
    expect(signing(NEW).verify({ ...odd, key: '\udfff' })?.reason).toBe('bad_signature');
  });
});

describe('keys', () => {
  it('are rotated without a gap: each step of the way believes the ones beside it', () => {
    const steps = [signing(OLD), signing(OLD, NEW), signing(NEW, OLD), signing(NEW)];
    steps.forEach((sender, at) => {
      for (const receiver of steps.slice(Math.max(0, at - 1), at + 2)) {
        expect(receiver.verify(sender.sign(message))).toBeNull();
      }
    });
    // The order is what counts: to sign with a key before everybody knows it is a gap.
    expect(signing(OLD).verify(signing(NEW, OLD).sign(message))?.reason).toBe('bad_signature');
    expect(signing(NEW).verify(signing(OLD, NEW).sign(message))?.reason).toBe('bad_signature');
  });

  it('may be bytes, of which text is one way to write them', () => {
    const bytes = new MessageSigning({ keys: [Buffer.from(NEW)] });
    expect(bytes.verify(signed)).toBeNull();
  });

  it.each([
    ['none', [], 'there is none'],
    ['a short one', [NEW, 'short-secret'], 'key 2 of 2 has 12 bytes'],
    ['one twice', [NEW, OLD, NEW], 'one key is there twice'],
    ['too many', Array.from({ length: 11 }, (_, at) => `${NEW}${at}`), 'there are 11'],
  ] as const)('are refused by name where there is %s, and never shown', (_, keys, problem) => {
    const make = (): unknown => new MessageSigning({ keys });
    expect(make).toThrow(InvalidSigningKeyError);
    expect(make).toThrow(problem);
    for (const key of keys) expect(make).not.toThrow(key);
  });

  it('are shown by nothing that prints them', () => {
    const holder = signing(NEW, OLD);
    for (const text of [inspect(holder, { showHidden: true, depth: 9 }), JSON.stringify(holder)]) {
      expect(text).not.toContain('thirty-two');
      expect(text).not.toContain(Buffer.from(NEW).toString('hex').slice(0, 12));
    }
  });
});
