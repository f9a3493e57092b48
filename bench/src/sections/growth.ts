import { FULL, growths, type GrowthFindings } from '../growth.js';
import { scaled } from '../measure.js';
import { rounded } from '../statistics.js';
import { times, whole, type Section } from './section.js';

/** Compares the cost of work in an empty store and beside the rows that years and outages leave behind. */
export const growth: Section = async ({ server, say, scale }) => {
  const found = await growths(server, scale);
  const count = (full: keyof typeof FULL): string => whole(scaled(FULL[full], scale));
  const ms = ({ empty, full }: GrowthFindings['claim']): string =>
    `${empty.toFixed(2)} → ${full.toFixed(2)} ms (${times(empty / full)})`;
  say(
    `beside ${count('ended')} ended sagas, ${count('foreignLetters')} letters and ${count('foreignDue')} due sagas ` +
      `of a definition that no engine here runs: claim ${ms(found.claim)}, scrape ${ms(found.scrape)}, ` +
      `find ${ms(found.find)}, prune ${ms(found.prune)}`,
  );
  const { empty, full } = found.drain;
  say(
    `relay beside ${count('away')} messages of a topic that is away: ${whole(empty)}/s → ${whole(full)}/s (${times(full / empty)})`,
  );
  return {
    growth: {
      claim: rounded(found.claim.empty / found.claim.full, 3),
      scrape: rounded(found.scrape.empty / found.scrape.full, 3),
      find: rounded(found.find.empty / found.find.full, 3),
      prune: rounded(found.prune.empty / found.prune.full, 3),
      drain: rounded(full / empty, 3),
    },
  };
};
