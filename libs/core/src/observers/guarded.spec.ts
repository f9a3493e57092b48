import { afterEach, describe, expect, it, vi } from 'vitest';
import type { Logger } from '../ports/index.js';
import { failing, failingLogger, type Failing } from './failing.fixture.js';
import { guardedCall, guardedLogger, guardedObserver } from './index.js';

const WAYS: readonly Failing[] = ['throws', 'rejects', 'cannot be read'];

/** Longer than any rejection takes to be reported. */
const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

afterEach(() => vi.restoreAllMocks());

describe('a logger that fails in every method', () => {
  it.each(WAYS)('and %s, stops nobody, and is told of once', async (how) => {
    const warnings: string[] = [];
    vi.spyOn(process, 'emitWarning').mockImplementation((warning) => {
      warnings.push(warning.toString());
    });
    const called: string[] = [];
    const logger = guardedLogger(failingLogger(how, called));
    for (const level of ['debug', 'info', 'warn', 'error'] as const) logger[level]('A line.');
    await settled();
    expect(called).toEqual(['debug', 'info', 'warn', 'error']);
    expect(warnings).toEqual([
      'The logger given to Sagaz failed (Error: an observer that fails), so this line and perhaps others are lost: A line.',
    ]);
  });

  it('is guarded once, however often it is handed on', () => {
    const logger = guardedLogger(failingLogger('throws', []));
    expect(guardedLogger(logger)).toBe(logger);
  });
});

interface Watching {
  happened(what: string): void;
  absent?(): void;
}

describe('an observer', () => {
  function log(): { logger: Logger; lines: string[] } {
    const lines: string[] = [];
    const say = (): void => undefined;
    const error = (message: string, _fields?: unknown, cause?: unknown): void => {
      lines.push(`${message} ${(cause as Error).message}`);
    };
    return { logger: { debug: say, info: say, warn: say, error }, lines };
  }

  it.each(WAYS)('that %s in every method stops nobody, and each failure is logged', async (how) => {
    const { logger, lines } = log();
    const called: string[] = [];
    const observer = guardedObserver(
      'The observer of a test',
      failing(how, called) as Watching,
      logger,
    );
    for (const what of ['one', 'two']) observer.happened(what);
    await settled();
    expect(called).toEqual(['happened', 'happened']);
    const line = "The observer of a test failed in 'happened'; what it was told of goes on.";
    expect(lines).toEqual([`${line} an observer that fails`, `${line} an observer that fails`]);
  });

  it('that works is told everything, as itself', () => {
    class Counting implements Watching {
      readonly #told: string[] = [];
      happened(what: string): void {
        this.#told.push(what);
      }
      get told(): readonly string[] {
        return this.#told;
      }
    }
    const counting = new Counting();
    const observer: Watching = guardedObserver('The observer of a test', counting, log().logger);
    observer.happened('one');
    observer.absent?.();
    expect(counting.told).toEqual(['one']);
  });

  it('gives back what it returns, of whatever kind', async () => {
    const failed: unknown[] = [];
    const then = Object.defineProperty({}, 'then', {
      get: () => {
        throw new Error('a getter');
      },
    });
    expect(
      guardedCall(
        () => then,
        (error) => failed.push(error),
      ),
    ).toBe(then);
    await settled();
    expect(failed).toEqual([]);
  });
});
