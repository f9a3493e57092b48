import { describe, expect, it } from 'vitest';
import { outboxMessage, RelayBench } from '../../testing/index.js';

describe('a relay', () => {
  it('publishes what was committed, in the order of its key, and removes it', async () => {
    const bench = new RelayBench();
    await bench.relay().start();
    await bench.clock.advance(100);
    await bench.write(outboxMessage('a', 1), outboxMessage('a', 2), outboxMessage('b', 1));
    await bench.clock.advance(20);
    expect(bench.published().filter((text) => text.startsWith('a'))).toEqual(['a:1', 'a:2']);
    expect(bench.published()).toHaveLength(3);
    expect(await bench.count()).toBe(0);
  });
});
