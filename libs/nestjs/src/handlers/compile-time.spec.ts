import { asNestGenerates, compile } from '@sagaz/test-support/compile';
import { beforeAll, describe, expect, it } from 'vitest';

/** The names that every case below may use. */
const PREAMBLE = `
import { command, defineCommand, defineEvent, jsonCodec, type AnyValueCodec, type PayloadCodec } from '@sagaz/core';
import { of, type Observable } from 'rxjs';
import { IdempotentHandler, MessageContext, TransactionManager } from './index.js';
interface Item { readonly sku: string; readonly count?: number }
interface Reserved { readonly reservation: string }
const Reserve = defineCommand<Item, Reserved>()('stock.reserve');
const Release = defineCommand<Item>()('stock.release');
const Counted = defineEvent<Item>()('stock.counted');
declare const item: Item;
declare const items: PayloadCodec<Item>;
declare const reservations: PayloadCodec<Reserved>;
declare const anything: AnyValueCodec;
`;

function controller(member: string): string {
  return `export class Stock { ${member} }`;
}

const PAYLOAD = 'the first parameter does not take the payload of this message';
const NO_COMMAND = 'only a step of a saga can send a command by returning it';
const REPLY = 'the returned value is not the reply of this command';

const refused: readonly (readonly [promise: string, source: string, message: string])[] = [
  [
    'the parameter is of another type than the payload of a command',
    controller(
      `@IdempotentHandler(Reserve) reserve(id: string): Reserved { return { reservation: id }; }`,
    ),
    PAYLOAD,
  ],
  [
    'the parameter wants a property the payload of an event may lack',
    controller(`@IdempotentHandler(Counted) counted(event: { sku: string; count: number }) {}`),
    PAYLOAD,
  ],
  [
    'the context stands where the payload belongs',
    controller(`@IdempotentHandler(Counted) counted(context: MessageContext) {}`),
    PAYLOAD,
  ],
  [
    'a command is answered with something else',
    controller(`@IdempotentHandler(Reserve) reserve(i: Item): string { return i.sku; }`),
    REPLY,
  ],
  [
    'a command is answered with a promise of something else',
    controller(
      `@IdempotentHandler(Reserve) async reserve(i: Item) { return { reserved: i.sku }; }`,
    ),
    REPLY,
  ],
  [
    'a command that awaits a reply gets none',
    controller(`@IdempotentHandler(Reserve) async reserve(i: Item) {}`),
    REPLY,
  ],
  [
    'an observable answers a command with something else',
    controller(`@IdempotentHandler(Reserve) reserve(): Observable<number> { return of(1); }`),
    REPLY,
  ],
  [
    'a reply that may be missing is taken for one',
    controller(
      `@IdempotentHandler(Reserve) async reserve(): Promise<Reserved | undefined> { return undefined; }`,
    ),
    REPLY,
  ],
  [
    'a handler returns a command, which would be sent nowhere',
    controller(`@IdempotentHandler(Counted) counted(i: Item) { return command(Release, i); }`),
    NO_COMMAND,
  ],
  [
    'a handler may return a command',
    controller(
      `@IdempotentHandler(Counted) async counted(i: Item) { if (i.sku === '') return command(Release, i); return undefined; }`,
    ),
    NO_COMMAND,
  ],
  [
    'a message is named by its type only',
    controller(`@IdempotentHandler('stock.reserve') reserve() {}`),
    `Argument of type 'string' is not assignable to parameter of type 'MessageContract'`,
  ],
  [
    'an option is misspelt',
    controller(`@IdempotentHandler(Counted, { groop: 'a' }) counted() {}`),
    `'groop' does not exist in type 'HandlerOptions'`,
  ],
  [
    'a codec is of another type than the payload of an event',
    `export const Sold = defineEvent<Item>()('stock.sold', { codec: reservations });`,
    `Type 'PayloadCodec<Reserved>' is not assignable to type `,
  ],
  [
    'a codec is of another type than the reply to a command',
    `export const Sell = defineCommand<Item, Reserved>()('stock.sell', { replyCodec: items });`,
    `Type 'PayloadCodec<Item>' is not assignable to type `,
  ],
  [
    'the parameter is of another type than the codec of an event without a type',
    `const Sold = defineEvent()('stock.sold', { codec: items });
     export class Stock { @IdempotentHandler(Sold) sold(event: Reserved) {} }`,
    PAYLOAD,
  ],
  [
    'the answer is of another type than the reply codec of a command without types',
    `const Sell = defineCommand()('stock.sell', { codec: items, replyCodec: reservations });
     export class Stock { @IdempotentHandler(Sell) sell(i: Item): string { return i.sku; } }`,
    REPLY,
  ],
];

const accepted: readonly (readonly [promise: string, source: string])[] = [
  [
    'a command with its payload and its reply',
    controller(
      `@IdempotentHandler(Reserve) async reserve(i: Item): Promise<Reserved> { return { reservation: i.sku }; }`,
    ),
  ],
  [
    'a parameter that takes less than the payload has',
    controller(
      `@IdempotentHandler(Reserve) reserve(i: { sku: string }): Reserved { return { reservation: i.sku }; }`,
    ),
  ],
  [
    'a reply with more than was asked for',
    controller(
      `@IdempotentHandler(Reserve) reserve(): { reservation: string; shelf: number } { return { reservation: '', shelf: 1 }; }`,
    ),
  ],
  [
    'an observable of the reply',
    controller(
      `@IdempotentHandler(Reserve) reserve(): Observable<Reserved> { return of({ reservation: '' }); }`,
    ),
  ],
  [
    'a command without a reply',
    controller(`@IdempotentHandler(Release) async release(i: Item): Promise<void> {}`),
  ],
  [
    'an event, whatever its handler returns',
    controller(`@IdempotentHandler(Counted) counted(i: Item): number { return i.count ?? 0; }`),
  ],
  [
    'codecs of the types of a contract, and those for every value',
    `export const Sold = defineEvent<Item>()('stock.sold', { codec: items });
     export const Sent = defineEvent<Item>()('stock.sent', { codec: anything });
     export const Sell = defineCommand<Item, Reserved>()('stock.sell', { codec: jsonCodec, replyCodec: reservations });`,
  ],
  [
    'a handler of the types of its codecs',
    `const Sell = defineCommand()('stock.sell', { codec: items, replyCodec: reservations });
     export class Stock { @IdempotentHandler(Sell) sell(i: Item): Reserved { return { reservation: i.sku }; } }
     export const sent = command(Sell, { sku: 'a' });`,
  ],
  ['a handler that wants nothing', controller(`@IdempotentHandler(Counted) counted() {}`)],
  [
    'the context and the manager beside the payload',
    controller(
      `@IdempotentHandler(Counted, { group: 'mailer', retry: { attempts: 3, backoff: '1s' } }) counted(i: Item, c: MessageContext, @TransactionManager() m: object) { return c.id; }`,
    ),
  ],
];

describe.each([
  ['the options of a Nest application', asNestGenerates],
  [
    'the strictest options',
    { ...asNestGenerates, exactOptionalPropertyTypes: true, noUncheckedIndexedAccess: true },
  ],
])('under %s the compiler', (_, options) => {
  let errors: readonly string[][] = [];

  beforeAll(() => {
    errors = compile(
      import.meta.dirname,
      [...refused, ...accepted].map(([, source]) => PREAMBLE + source),
      options,
    );
  }, 120_000);

  it.each(refused.map(([promise, , message], index) => ({ promise, message, index })))(
    'refuses when $promise',
    ({ message, index }) => {
      expect(errors[index]).toEqual([expect.stringContaining(message)]);
    },
  );

  it.each(accepted.map(([promise], index) => ({ promise, index: refused.length + index })))(
    'accepts $promise',
    ({ index }) => {
      expect(errors[index]).toEqual([]);
    },
  );
});
