import { EventEmitter } from 'node:events';
import { describe, expect, it } from 'vitest';
import { ReportedErrors } from './reported-errors.js';

/** An error as pg makes it of a server's message: it names the place in the server's source. */
function ofServer(): Error {
  return Object.assign(new Error('could not serialize access'), {
    code: '40001',
    severity: 'ERROR',
    routine: 'ExecUpdate',
  });
}

describe('whether a connection of the store reported an error', () => {
  const connection = new EventEmitter();
  const reported = new ReportedErrors();
  reported.watch({ connection });

  it('knows what came over it, also where somebody has wrapped it', () => {
    const error = ofServer();
    connection.emit('errorMessage', error);
    expect(reported.has(error)).toBe(true);
    expect(reported.has(new Error('wrapped', { cause: error }))).toBe(true);
    expect(reported.has(Object.assign(new Error('orm'), { driverError: error }))).toBe(true);
  });

  it('is not confused by the same error of another database', () => {
    expect(reported.has(ofServer())).toBe(false);
    expect(reported.has(new Error('wrapped', { cause: ofServer() }))).toBe(false);
    expect(reported.has(Object.assign(new Error('orm'), { driverError: ofServer() }))).toBe(false);
  });

  it('takes the application at its word where it says itself that a conflict happened', () => {
    const made = Object.assign(new Error('could not serialize access'), { code: '40001' });
    expect(reported.has(made)).toBe(true);
  });

  it('finds nothing in what is no error of a database', () => {
    for (const thrown of [new Error('no'), 'text', null, undefined, {}]) {
      expect(reported.has(thrown)).toBe(false);
    }
  });
});
