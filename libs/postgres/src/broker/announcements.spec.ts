import type { WakeChannel } from '@sagaz/core';
import { beforeEach, describe, expect, it } from 'vitest';
import type { HintBatch } from '../wake-ups/index.js';
import { Announcements } from './announcements.js';
import { message } from './broker.fixture.js';

let now: number;
/** Groups whose slots this process holds. */
let here: Set<WakeChannel>;
let told: WakeChannel[];
let announcements: Announcements;

beforeEach(() => {
  now = 0;
  here = new Set();
  told = [];
  announcements = new Announcements(
    {
      announce: (hints: HintBatch) => ({ channel: 'all', payloads: hints.payloads('me') }),
      hintHere: (channel) => here.has(channel),
      hintElsewhere: (channel) => told.push(channel),
    },
    { now: () => now },
  );
});

/** Gives the hints that a publish to these topics announces, and then sends; `groups` got messages. */
function publish(topics: readonly string[], groups: readonly string[]): string[] {
  const sent = topics.map((topic) => message(topic, 'k'));
  const announced = announcements.of(sent);
  announcements.committed(groups, sent, announced);
  return [...(announced?.groups ?? [])].sort();
}

describe('what a publish announces', () => {
  it('is nothing at first, and what was told afterwards from then on', () => {
    expect(publish(['a'], ['x', 'y'])).toEqual([]);
    expect(told.splice(0)).toEqual(['queue:x', 'queue:y']);
    expect(publish(['a'], ['x', 'y'])).toEqual(['x', 'y']);
    expect(told).toEqual([]);
  });

  it('is for the groups of all its topics, learned where there is one', () => {
    publish(['a'], ['x']);
    publish(['b'], ['y']);
    expect(publish(['a', 'b'], ['x', 'y', 'z'])).toEqual(['x', 'y']);
    expect(told.at(-1)).toBe('queue:z');
    expect(publish(['a'], ['x'])).toEqual(['x']);
  });

  it('is nothing for a group whose messages this process works on itself', () => {
    publish(['a'], ['x']);
    here.add('queue:x');
    publish(['a'], ['x']);
    told = [];
    expect(publish(['a'], ['x'])).toEqual([]);
    expect(told).toEqual([]);
    here.clear();
    expect(publish(['a'], ['x'])).toEqual([]);
    expect(told).toEqual(['queue:x']);
  });

  it('is nothing where there are many messages, which are told of afterwards', () => {
    publish(['a'], ['x']);
    told = [];
    expect(publish(['a', 'a', 'a', 'a', 'a'], ['x'])).toEqual([]);
    expect(told).toEqual(['queue:x']);
  });

  it('is nothing for a while after a commit that waited', () => {
    publish(['a'], ['x']);
    announcements.took(99);
    expect(publish(['a'], ['x'])).toEqual(['x']);
    announcements.took(100);
    expect(publish(['a'], ['x'])).toEqual([]);
    now = 10_000;
    expect(publish(['a'], ['x'])).toEqual(['x']);
  });

  it('forgets the groups of all topics when there are too many, and learns them again', () => {
    for (let n = 0; n < 10_000; n += 1) publish([`t${String(n)}`], ['x']);
    expect(publish(['t0'], ['x'])).toEqual(['x']);
    publish(['one more'], ['x']);
    expect(publish(['t0'], ['x'])).toEqual([]);
    expect(publish(['t0'], ['x'])).toEqual(['x']);
  });
});
