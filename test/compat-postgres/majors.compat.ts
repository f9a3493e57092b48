import { postgresServers } from '@sagaz/test-support';
import { expect, it } from 'vitest';

it('is a run on the majors that no other run has', () => {
  expect(postgresServers().map(({ name }) => name)).toEqual(['pg14', 'pg16', 'pg17']);
});
