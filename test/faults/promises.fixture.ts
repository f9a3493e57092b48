import { expect } from 'vitest';
import type { Books } from './books.fixture.js';
import type { KillPromise } from './src/cells.js';
import { NOTE_KEYS } from './src/notes.js';

/** The work that there was to do. */
export interface Work {
  readonly orders: readonly string[];
  readonly notes: number;
}

/**
 * Two orders begin without an owner, two are undone. The process that dies takes only the first notes:
 * the next one has work of its own, whatever was left to it, and a message that is refused for the
 * first time.
 */
export const MATRIX_WORK: Work = {
  orders: ['late-1', 'good-1', 'bad-1', 'late-bad-1', 'good-2'],
  notes: 12,
};
export const FIRST_NOTES = 6;

const isBad = (order: string): boolean => order.includes('bad');
const sorted = (list: readonly string[]): string[] => [...list].sort();
const of = (order: string, good: readonly string[], bad: readonly string[]): string[] =>
  (isBad(order) ? bad : good).map((what) => `${order}:${what}`);
const each = ({ orders }: Work, good: readonly string[], bad: readonly string[]): string[] =>
  sorted(orders.flatMap((order) => of(order, good, bad)));

/** The entries that the books must have, whichever process died meanwhile. */
export const promiseHolds: Readonly<Record<KillPromise, (books: Books, work: Work) => void>> = {
  1: ({ sagas }, { orders }) => {
    expect(sagas.map(({ key, status }) => `${key}: ${status}`)).toEqual(
      sorted(orders).map((order) => `${order}: ${isBad(order) ? 'compensated' : 'completed'}`),
    );
  },
  2: ({ local, placed }, work) => {
    expect(sorted(local.map(({ what }) => what))).toEqual(
      each(work, ['accept', 'confirm'], ['accept', 'reject']),
    );
    expect(sorted(placed)).toEqual(sorted(work.orders.filter((order) => order.includes('late'))));
  },
  3: ({ external, sagas }, work) => {
    const effects = new Set(external.map(({ order, step }) => `${order}:${step}`));
    expect(sorted([...effects])).toEqual(each(work, ['charge'], ['charge', 'refund']));
    for (const { id, key: order } of sagas) {
      const keys = new Set(external.filter((one) => one.order === order).map(({ key }) => key));
      // A compensation is told the key of what it undoes.
      expect([...keys]).toEqual([`${id}:charge`]);
    }
  },
  4: ({ notes, published, deliveries, handled }, work) => {
    expect(notes.map(({ key, n }) => `${key}:${n}`)).toEqual(
      NOTE_KEYS.flatMap((key) => Array.from({ length: work.notes }, (_, i) => `${key}:${i + 1}`)),
    );
    const committed = [...notes, ...published].map(({ message }) => message);
    const arrived = new Set(deliveries.map(({ message }) => message));
    expect(sorted([...arrived])).toEqual(sorted(committed));
    const events = new Set(
      handled.filter(({ type }) => type.startsWith('order.')).map(({ message }) => message),
    );
    expect(sorted([...events])).toEqual(sorted(published.map(({ message }) => message)));
  },
  5: ({ deliveries }, work) => {
    for (const key of NOTE_KEYS) {
      const first = new Map<string, number | null>();
      for (const one of deliveries) {
        if (one.key === key && !first.has(one.message)) first.set(one.message, one.n);
      }
      const inOrder = Array.from({ length: work.notes }, (_, i) => i + 1);
      expect([...first.values()].join(' '), `the notes of ${key}`).toBe(inOrder.join(' '));
    }
    for (const order of work.orders) {
      const types = deliveries.filter(({ key }) => key === order).map(({ type }) => type);
      expect([...new Set(types)], `the events of ${order}`).toEqual([
        'order.accept',
        isBad(order) ? 'order.reject' : 'order.confirm',
      ]);
    }
  },
  6: ({ handled }, work) => {
    expect(sorted(handled.map(({ order, type }) => `${order}:${type}`))).toEqual(
      each(
        work,
        ['order.accept', 'order.confirm', 'stock.reserve'],
        ['order.accept', 'order.reject', 'stock.reserve', 'stock.release'],
      ),
    );
  },
};
