import { Logger } from '@nestjs/common';
import { afterEach, describe, expect, it } from 'vitest';
import { NestSagazLogger } from './nest-logger.js';

/** The arguments of each call of Nest's logger. */
function collect(): unknown[][] {
  const calls: unknown[][] = [];
  const take = (...given: unknown[]): void => void calls.push(given);
  Logger.overrideLogger({ log: take, error: take, warn: take, debug: take });
  return calls;
}

const EVIL = 'no such shelf\n[Nest] LOG the order is paid\u001b[2K postgres://me:p@ss w@h/db';

describe('what Sagaz writes to the log of the application', () => {
  afterEach(() => {
    Logger.overrideLogger(['error', 'fatal']);
  });

  it.each(['debug', 'info', 'warn', 'error'] as const)(
    'at %s is one line without passwords, whatever stands in its texts',
    (level) => {
      const calls = collect();
      new NestSagazLogger()[level](`It failed: ${EVIL}`, { error: EVIL, topic: 'a\rb' });
      const [text] = calls[0] ?? [];
      expect(text).toContain('\\n[Nest] LOG');
      expect(text).not.toMatch(/\p{Cc}/u);
      expect(text).not.toContain('p@ss');
    },
  );

  it('keeps the frames of a stack apart, and makes one line of the message in front of them', () => {
    const calls = collect();
    const error = new Error(EVIL);
    new NestSagazLogger().error('It failed.', {}, error);
    const [text, stack] = calls[0] ?? [];
    expect(text).toMatch(/^It failed\.: no such shelf\\n\[Nest\]/);
    const [first, ...frames] = String(stack).split('\n');
    expect(first).toMatch(/^Error: no such shelf\\n\[Nest\]/);
    expect(first).not.toContain('p@ss');
    expect(frames.length).toBeGreaterThan(1);
    expect(frames.every((frame) => /^ {4}at /.test(frame))).toBe(true);
  });

  it('shows a thrown value that is no error without breaking the line', () => {
    const calls = collect();
    new NestSagazLogger().error('It failed.', {}, { password: 'p w', text: EVIL });
    expect(calls[0]?.[0]).not.toMatch(/\n|p w|p@ss/);
  });
});
