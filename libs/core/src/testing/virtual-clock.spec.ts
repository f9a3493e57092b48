import { describe, expect, it } from 'vitest';
import { VirtualClock } from './virtual-clock.js';

describe('a clock that is moved', () => {
  it('ends with an error where timers without a delay follow each other without end', async () => {
    const clock = new VirtualClock();
    const again = (): void => void clock.after(0, again);
    again();
    await expect(clock.advance(10)).rejects.toThrow('without end at 0 ms');
  });

  it('moves also for a delay that is too small to be added to its time', async () => {
    const clock = new VirtualClock();
    await clock.advance(1e6);
    let firedAt = 0;
    clock.after(1e-12, () => (firedAt = clock.now()));
    await clock.advance(10);
    expect(firedAt).toBe(1e6 + 1);
  });
});
