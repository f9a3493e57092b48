import { EventPattern, MessagePattern } from '@nestjs/microservices';
import { describe, expect, it } from 'vitest';
import { declaredPatternOf, declaredPatterns } from './declared-patterns.js';

class Handlers {
  @EventPattern('orders.placed')
  one(_: unknown): void {
    // Only its metadata is read.
  }

  @EventPattern('orders.*')
  wildcard(_: unknown): void {
    // Only its metadata is read.
  }

  @EventPattern(['orders.placed', 'payments.*'])
  several(_: unknown): void {
    // Only its metadata is read.
  }

  @MessagePattern({ cmd: 'sum' })
  object(_: unknown): void {
    // Only its metadata is read.
  }

  none(_: unknown): void {
    // Only its metadata is read.
  }
}

const methodOf = (name: keyof Handlers): object => Handlers.prototype[name];

describe('the pattern that a method declares', () => {
  it.each([
    ['one', 'orders.placed', 'orders.placed'],
    ['wildcard', 'orders.what-a-sender-chooses', 'orders.*'],
    ['several', 'orders.placed', 'orders.placed'],
    ['several', 'payments.what-a-sender-chooses', undefined],
    ['object', '{"cmd":"sum"}', '{"cmd":"sum"}'],
    ['none', 'orders.placed', undefined],
  ] as const)('of %s for %s is %s', (name, pattern, declared) => {
    expect(declaredPatternOf(methodOf(name), pattern)).toBe(declared);
  });

  it('is one text for each', () => {
    expect(declaredPatterns(methodOf('several'))).toEqual(['orders.placed', 'payments.*']);
    expect(declaredPatterns(methodOf('none'))).toEqual([]);
  });
});
