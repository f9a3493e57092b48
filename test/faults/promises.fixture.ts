import { expect } from 'vitest';
import type { Books } from './books.fixture.js';
import type { KillPromise } from './src/cells.js';
import { NOTE_KEYS } from './src/notes.js';

export const ORDERS = ['late-1', 'good-1', 'bad-1', 'late-bad-1', 'good-2'];
export const NOTES = 6;

const isBad = (order: string): boolean => order.includes('bad');
const sorted = (list: readonly string[]): string[] => [...list].sort();
const of = (order: string, good: readonly string[], bad: readonly string[]): string[] =>
  (isBad(order) ? bad : good).map((what) => `${order}:${what}`);
const each = (good: readonly string[], bad: readonly string[]): string[] =>
  sorted(ORDERS.flatMap((order) => of(order, good, bad)));

/** What must stand in the books, whoever died meanwhile. */
export const promiseHolds: Readonly<Record<KillPromise, (books: Books) => void>> = {
  1: ({ sagas }) => {
    expect(sagas.map(({ key, status }) => `${key}: ${status}`)).toEqual(
      sorted(ORDERS).map((order) => `${order}: ${isBad(order) ? 'compensated' : 'completed'}`),
    );
  },
  2: ({ local, placed }) => {
    expect(sorted(local.map(({ what }) => what))).toEqual(
      each(['accept', 'confirm'], ['accept', 'reject']),
    );
    expect(sorted(placed)).toEqual(sorted(ORDERS.filter((order) => order.includes('late'))));
  },
  3: ({ external, sagas }) => {
    const effects = new Set(external.map(({ order, step }) => `${order}:${step}`));
    expect(sorted([...effects])).toEqual(each(['charge'], ['charge', 'refund']));
    for (const { id, key: order } of sagas) {
      const keys = new Set(external.filter((one) => one.order === order).map(({ key }) => key));
      // A compensation is told the key of what it undoes.
      expect([...keys]).toEqual([`${id}:charge`]);
    }
  },
  4: ({ notes, published, deliveries, handled }) => {
    expect(notes.map(({ key, n }) => `${key}:${n}`)).toEqual(
      NOTE_KEYS.flatMap((key) => Array.from({ length: NOTES }, (_, i) => `${key}:${i + 1}`)),
    );
    const committed = [...notes, ...published].map(({ message }) => message);
    const arrived = new Set(deliveries.map(({ message }) => message));
    expect(sorted([...arrived])).toEqual(sorted(committed));
    const events = new Set(
      handled.filter(({ type }) => type.startsWith('order.')).map(({ message }) => message),
    );
    expect(sorted([...events])).toEqual(sorted(published.map(({ message }) => message)));
  },
  5: ({ deliveries }) => {
    for (const key of NOTE_KEYS) {
      const first = new Map<string, number | null>();
      for (const one of deliveries) {
        if (one.key === key && !first.has(one.message)) first.set(one.message, one.n);
      }
      expect([...first.values()]).toEqual(Array.from({ length: NOTES }, (_, i) => i + 1));
    }
    for (const order of ORDERS) {
      const types = deliveries.filter(({ key }) => key === order).map(({ type }) => type);
      expect([...new Set(types)]).toEqual([
        'order.accept',
        isBad(order) ? 'order.reject' : 'order.confirm',
      ]);
    }
  },
  6: ({ handled }) => {
    expect(sorted(handled.map(({ order, type }) => `${order}:${type}`))).toEqual(
      each(
        ['order.accept', 'order.confirm', 'stock.reserve'],
        ['order.accept', 'order.reject', 'stock.reserve', 'stock.release'],
      ),
    );
  },
};
