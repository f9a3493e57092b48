import { describe, expect, it } from 'vitest';
import {
  InvalidContractError,
  MessageValidationError,
  command,
  decodePayload,
  defineCommand,
  defineEvent,
  encodePayload,
  isCommand,
  topicOf,
  validatePayload,
  validateReply,
} from './index.js';
import { jsonCodec } from '../codec/index.js';
import { linesCodec } from '../codec/lines-codec.fixture.js';
import type { SchemaResult, StandardSchema } from './index.js';

interface Reserve {
  readonly orderId: string;
}

function schema<T>(validate: (value: unknown) => SchemaResult<T> | Promise<SchemaResult<T>>) {
  const made: StandardSchema<T> = { '~standard': { version: 1, vendor: 'spec', validate } };
  return made;
}

const orderIds = schema<Reserve>((value) =>
  typeof value === 'object' &&
  value !== null &&
  'orderId' in value &&
  typeof value.orderId === 'string'
    ? { value: { orderId: value.orderId.trim() } }
    : {
        issues: [
          { message: 'expected a string', path: ['orderId'] },
          { message: 'too short', path: [{ key: 'lines' }, 0] },
          { message: 'odd' },
        ],
      },
);

describe('a contract', () => {
  it('is a frozen constant whose topic is the first segment of its type', () => {
    const contract = defineCommand<Reserve, { n: number }>()('inventory.reserve');
    expect(contract).toMatchObject({
      kind: 'command',
      type: 'inventory.reserve',
      topic: 'inventory',
      expiresInMs: null,
      handledBy: null,
    });
    expect(Object.isFrozen(contract)).toBe(true);
    expect(topicOf('inventory.stock.reserve')).toBe('inventory');
    expect(topicOf('tick')).toBe('tick');
  });

  it('may name its topic and its expiry', () => {
    const contract = defineCommand<Reserve>()('inventory.reserve', {
      topic: 'warehouse.commands',
      expiresIn: '10m',
    });
    expect(contract).toMatchObject({ topic: 'warehouse.commands', expiresInMs: 600_000 });
    expect(defineEvent<Reserve>()('order.confirmed', { topic: 'sales' }).topic).toBe('sales');
  });

  it.each(['', '.', 'a.', 'a..b', 'a b', '1a', 'a.1', 'a\u0000b', 'ä.b', 'x'.repeat(201)])(
    'cannot have the type %j',
    (type) => {
      expect(() => defineEvent()(type)).toThrow(InvalidContractError);
      expect(() => defineEvent()(type)).toThrow(/is no message type\. Write segments of letters/);
    },
  );

  it('may name the service that handles it', () => {
    expect(defineCommand()('a.b', { handledBy: 'b-service' }).handledBy).toBe('b-service');
    expect(defineCommand()('a.b').handledBy).toBeNull();
  });

  it.each(['', 'a\nb', 7, null])('cannot be handled by %j', (handledBy) => {
    expect(() => Reflect.apply(defineCommand(), undefined, ['a.b', { handledBy }])).toThrow(
      /The option handledBy of the command 'a\.b' is .*Give the name of the service/,
    );
  });

  it('has JSON for a codec, and names no schema', () => {
    const contract = defineCommand()('a.b');
    expect(contract).toMatchObject({ codec: jsonCodec, replyCodec: jsonCodec, dataSchema: null });
  });

  it('may have codecs of its own, and a name for the schema of its payloads', () => {
    const contract = defineCommand()('a.b', {
      codec: linesCodec,
      replyCodec: jsonCodec,
      dataSchema: 'urn:acme:lines:2',
    });
    expect(contract).toMatchObject({ codec: linesCodec, replyCodec: jsonCodec });
    const encoded = encodePayload(contract, { lines: ['a'] });
    expect(encoded).toEqual({
      payload: Buffer.from('a\n'),
      contentType: 'text/x-lines',
      headers: { ce_dataschema: 'urn:acme:lines:2' },
    });
    expect(decodePayload(contract, encoded)).toEqual({ lines: ['a'] });
    const other = { ...encoded, contentType: 'application/json' };
    expect(() => decodePayload(contract, other)).toThrow("The payload of 'a.b' has the content");
  });

  it.each([
    [{ codec: {} }, "A codec of 'a.b' is {}, which is no codec. Give an object with contentType"],
    [{ codec: { ...linesCodec, contentType: 'a\nb' } }, "A codec of 'a.b' is "],
    [{ replyCodec: { contentType: 'a/b', encode: () => 1 } }, "A codec of 'a.b' is "],
    [{ dataSchema: '' }, "The option dataSchema of 'a.b' is '', which is no absolute URI. Give a"],
    [{ dataSchema: 'order/2' }, "is 'order/2', which is no absolute URI"],
    [{ dataSchema: `urn:a:${'b'.repeat(2_000)}` }, 'of at most 2000 characters'],
    [{ dataSchema: 'urn:a:\n' }, 'which is no absolute URI'],
  ])('says what is wrong with the codec or schema %j', (options, message) => {
    const made = (): unknown => Reflect.apply(defineCommand(), undefined, ['a.b', options]);
    expect(made).toThrow(InvalidContractError);
    expect(made).toThrow(message);
  });

  it('says which option is wrong', () => {
    expect(() => defineEvent()('a.b', { topic: 'a/b' })).toThrow("'a/b' is no topic.");
    const expiresIn = '1 fortnight';
    expect(() => Reflect.apply(defineCommand(), undefined, ['a.b', { expiresIn }])).toThrow(
      "expiresIn of 'a.b': '1 fortnight' is not a duration.",
    );
    expect(() =>
      Reflect.apply(defineCommand(), undefined, ['a.b', { payload: { parse: () => true } }]),
    ).toThrow('which is no Standard Schema.');
  });

  it.each([
    [
      defineEvent(),
      { topik: 'x' },
      "There is no option 'topik' of the event 'a.b'. Give one of payload, topic, codec, dataSchema.",
    ],
    [
      defineCommand(),
      { expiresin: '1m' },
      "There is no option 'expiresin' of the command 'a.b'. Give one of payload, topic, codec, dataSchema, reply, replyCodec, expiresIn, handledBy.",
    ],
    [defineEvent(), { expiresIn: '1m' }, "There is no option 'expiresIn' of the event 'a.b'."],
    [
      defineEvent(),
      'x',
      "The options of the event 'a.b' are 'x'. Give one of payload, topic, codec",
    ],
    [defineCommand(), null, "The options of the command 'a.b' are null."],
  ])('has no options but its own: %o with %o', (define, options, message) => {
    const made = (): unknown => Reflect.apply(define, undefined, ['a.b', options]);
    expect(made).toThrow(InvalidContractError);
    expect(made).toThrow(message);
  });
});

describe('a schema of a contract', () => {
  const contract = defineCommand<Reserve, Reserve>()('a.b', { payload: orderIds, reply: orderIds });

  it('decides what the payload and the reply are', async () => {
    await expect(validatePayload(contract, { orderId: ' 1 ' })).resolves.toEqual({ orderId: '1' });
    await expect(validateReply(contract, { orderId: ' 2 ' })).resolves.toEqual({ orderId: '2' });
  });

  it('may be asynchronous', async () => {
    const later = schema<Reserve>(async (value) => orderIds['~standard'].validate(value));
    const slow = defineEvent<Reserve>()('a.b', { payload: later });
    await expect(validatePayload(slow, { orderId: '1' })).resolves.toEqual({ orderId: '1' });
  });

  it('refuses with every issue and its path, for good', async () => {
    const failure = Reflect.apply(validatePayload, undefined, [contract, {}]);
    await expect(failure).rejects.toThrow(MessageValidationError);
    await expect(failure).rejects.toMatchObject({
      type: 'a.b',
      part: 'payload',
      issues: ['orderId: expected a string', 'lines.0: too short', 'odd'],
      message: expect.stringContaining(
        "The payload of 'a.b' does not match its schema: orderId: expected a string; lines.0: too short; odd.",
      ),
    });
  });

  it('that is not there lets everything through as it is', async () => {
    const payload = { orderId: '1' };
    await expect(validatePayload(defineEvent<Reserve>()('a.b'), payload)).resolves.toBe(payload);
  });
});

describe('a command as the value of a step', () => {
  const contract = defineCommand<Reserve, { n: number }>()('inventory.reserve');

  it('holds the contract, the payload and how to send it', () => {
    const value = command(
      contract,
      { orderId: '1' },
      { item: 'line-1', key: 'customer-7', headers: { 'X-Region': 'eu' }, timeout: '30s' },
    );
    expect(value).toMatchObject({
      contract,
      payload: { orderId: '1' },
      item: 'line-1',
      key: 'customer-7',
      headers: { 'x-region': 'eu' },
      timeoutMs: 30_000,
    });
    expect(command(contract, { orderId: '1' })).toMatchObject({
      item: null,
      key: null,
      headers: {},
      timeoutMs: null,
    });
  });

  it('is recognised by its brand, also when another copy of the package made it', () => {
    expect(isCommand(command(contract, { orderId: '1' }))).toBe(true);
    expect(isCommand({ [Symbol.for('sagaz.command')]: true })).toBe(true);
    for (const other of [null, undefined, 'x', { contract, payload: {} }]) {
      expect(isCommand(other)).toBe(false);
    }
  });

  it.each([
    [{ item: '' }, "'' cannot be the item of a command"],
    [{ item: 'a#1' }, "'a#1' cannot be the item of a command"],
    [{ item: 'a\ud800' }, "'a\\ud800' cannot be the item of a command"],
    [{ item: 'a'.repeat(501) }, 'cannot be the item of a command'],
    [{ key: '' }, "The command 'inventory.reserve' cannot be sent so: its key is empty"],
    [{ key: 'a\u0000b' }, String.raw`cannot be sent so: its key is 'a\x00b'. Give a key that is`],
    [{ key: '\ud800' }, "The command 'inventory.reserve' cannot be sent so: its key is "],
    [{ key: 'ü'.repeat(1_000) }, 'tenant, topic and key have 2009 bytes. Give them 2000 at most'],
    [
      { headers: { 'sagaz-step': 'x' } },
      "The header 'sagaz-step' of 'inventory.reserve' belongs to",
    ],
    [{ headers: { CE_id: 'x' } }, "The header 'CE_id' of 'inventory.reserve' belongs to Sagaz."],
    [
      { headers: { 'Content-Type': 'x' } },
      "The header 'Content-Type' of 'inventory.reserve' belongs",
    ],
    [{ headers: { 'a b': 'x' } }, "The header 'a b' of 'inventory.reserve' has no such name."],
    [{ headers: { a: '\ud800' } }, "The header 'a' of 'inventory.reserve' is no line of text."],
    [
      { headers: { ['__proto__']: 'x' } },
      "The header '__proto__' of 'inventory.reserve' has no such name.",
    ],
    [{ headers: { a: '1', A: '2' } }, "The header 'A' of 'inventory.reserve' is there twice."],
    [{ headers: { a: 'x'.repeat(70_000) } }, 'makes its headers longer than 65536 bytes.'],
    [{ headers: { a: 'x\r\ny: z' } }, "The header 'a' of 'inventory.reserve' is no line of text."],
  ])('refuses %j', (options, message) => {
    expect(() => command(contract, { orderId: '1' }, options)).toThrow(InvalidContractError);
    expect(() => command(contract, { orderId: '1' }, options)).toThrow(message);
  });

  it('has headers whose names objects have by themselves', () => {
    const headers = { constructor: 'a', toString: 'b', hasOwnProperty: 'c' };
    const sent = command(contract, { orderId: '1' }, { headers });
    expect(Object.entries(sent.headers)).toEqual([
      ['constructor', 'a'],
      ['tostring', 'b'],
      ['hasownproperty', 'c'],
    ]);
  });

  it('has no options but its own', () => {
    const made = () => Reflect.apply(command, undefined, [contract, {}, { itm: 'a' }]);
    expect(made).toThrow(InvalidContractError);
    expect(made).toThrow(
      "There is no option 'itm' of command('inventory.reserve'). Give one of item, key, headers, timeout.",
    );
  });
});

describe('a value that throws when its schema reads it', () => {
  const broken = new Error('a trap');
  const reads = schema<Reserve>((value) => {
    if (JSON.stringify(value) === '{}') throw new TypeError('a fault of the schema');
    return { value: { orderId: 'o-1' } };
  });
  const Reserving = defineCommand<Reserve, Reserve>()('inventory.reserve', {
    payload: reads,
    reply: reads,
  });
  const value: Reserve = {
    get orderId(): string {
      throw broken;
    },
  };

  it('is refused as what it is, as a payload and as a reply', async () => {
    const refused = expect.objectContaining({
      code: 'SAGAZ_UNSERIALIZABLE_VALUE',
      path: '$.orderId',
      cause: broken,
    }) as unknown;
    await expect(validatePayload(Reserving, value)).rejects.toEqual(refused);
    await expect(validateReply(Reserving, value)).rejects.toEqual(refused);
  });

  it('is told from a fault of the schema', async () => {
    const none = Object.create(null) as Reserve;
    await expect(validatePayload(Reserving, none)).rejects.toThrow('a fault of the schema');
  });
});

it('takes for a command only what is marked as one, whatever it does when it is asked', () => {
  const { proxy, revoke } = Proxy.revocable({}, {});
  revoke();
  expect(isCommand(proxy)).toBe(false);
  expect(isCommand(new Proxy({}, { has: () => true }))).toBe(false);
});

describe('what is no name, option or contract', () => {
  const contract = defineCommand<Reserve>()('inventory.reserve');
  const circle: Record<string, unknown> = {};
  circle['self'] = circle;

  it.each([
    [2n, '2n'],
    [Symbol('x'), 'Symbol(x)'],
    [circle, 'self: [Circular'],
    [null, 'null'],
    [[], '[]'],
  ])('is refused and shown: %o', (value, shown) => {
    const calls: (() => unknown)[] = [
      () => Reflect.apply(defineEvent(), undefined, [value]),
      () => Reflect.apply(defineEvent(), undefined, ['a.b', { topic: value }]),
      () => Reflect.apply(defineEvent(), undefined, ['a.b', { payload: value }]),
      () => Reflect.apply(defineCommand(), undefined, ['a.b', { handledBy: value }]),
      () => Reflect.apply(command, undefined, [value, {}]),
      () => Reflect.apply(command, undefined, [contract, {}, { item: value }]),
      () => Reflect.apply(command, undefined, [contract, {}, { key: value }]),
      () => Reflect.apply(command, undefined, [contract, {}, { headers: value }]),
    ];
    for (const call of calls) {
      expect(call).toThrow(InvalidContractError);
    }
    for (const call of calls.slice(0, 7)) expect(call).toThrow(shown);
  });

  it('is refused as the options of a command', () => {
    for (const options of [null, 5, [], 'x']) {
      const call = (): unknown => Reflect.apply(command, undefined, [contract, {}, options]);
      expect(call).toThrow('The options of command(');
    }
  });
});
