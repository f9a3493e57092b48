import { expect, it } from 'vitest';
import { uncheckedReplies } from './unchecked-replies.js';

it('has nothing to say where every contract names who answers', () => {
  expect(uncheckedReplies([])).toBeNull();
});

it('names at most ten commands, and what to write into a contract', () => {
  const types = Array.from({ length: 12 }, (_, at) => `stock.move${String(at)}`);
  const text = uncheckedReplies(types);
  expect(text).toContain("that handles 'stock.move0', 'stock.move1'");
  expect(text).toContain("'stock.move9' and 2 more: a reply");
  expect(text).toContain("defineCommand()('stock.move0', { handledBy: 'its-service' })");
});
