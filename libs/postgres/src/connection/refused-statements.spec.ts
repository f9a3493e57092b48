import { TransactionAbortedError } from '@sagaz/core';
import { describe, expect, it } from 'vitest';
import { StoreRefusedError } from './connection.errors.js';
import { PgTransaction } from './pg-transaction.js';

const errorWith = (code: string): Error =>
  Object.assign(new Error(`an error with ${code}`), { code, severity: 'ERROR' });

/** A transaction whose statements are answered with these tags and errors, one after the other. */
function answering(...answers: readonly (string | Error)[]): PgTransaction {
  const left = [...answers];
  const client = {
    query: () => {
      const next = left.shift() ?? 'SELECT';
      if (typeof next !== 'string') return Promise.reject(next);
      return Promise.resolve({ command: next, rowCount: 0, oid: 0, fields: [], rows: [] });
    },
    open: () => Promise.resolve(),
    hold: () => Promise.resolve(false),
  };
  return new PgTransaction('a store', client, client);
}

describe('a statement of the store that the database does not carry out', () => {
  it.each([
    ['42501', /missing grant/],
    ['3F000', /sagaz migrate/],
    ['42P01', /sagaz migrate/],
    ['42703', /sagaz migrate/],
    ['42883', /sagaz migrate/],
    ['25006', /server that takes writes/],
  ])('is refused until a person changes something (%s)', async (code, remedy) => {
    const cause = errorWith(code);
    const error: unknown = await answering(cause)
      .query({ text: 'INSERT' })
      .catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(StoreRefusedError);
    expect(error).toMatchObject({ cause, message: expect.stringMatching(remedy) });
  });

  it.each(['23505', '40001', '42601', '57014', '08006'])('fails as it is (%s)', async (code) => {
    const cause = errorWith(code);
    await expect(answering(cause).query({ text: 'INSERT' })).rejects.toBe(cause);
  });

  it('fails as it is if the application has made the transaction read-only after a write', async () => {
    const cause = errorWith('25006');
    const transaction = answering('INSERT', cause);
    await transaction.query({ text: 'INSERT' });
    await expect(transaction.query({ text: 'INSERT' })).rejects.toBe(cause);
    const missing = answering('INSERT', errorWith('42P01'));
    await missing.query({ text: 'INSERT' });
    await expect(missing.query({ text: 'INSERT' })).rejects.toBeInstanceOf(StoreRefusedError);
  });

  it('finds its transaction aborted by a statement before it', async () => {
    await expect(answering(errorWith('25P02')).query({ text: 'INSERT' })).rejects.toBeInstanceOf(
      TransactionAbortedError,
    );
  });
});
