import { crossedBounds, DEFAULT_LANDING_BOUNDS, MOST_LANDED } from '@sagaz/core';
import { z } from 'zod';

const whole = (most: number, standard: number) => {
  const error = `give a whole number from 1 to ${most.toLocaleString('en')}`;
  return z.int({ error }).min(1, { error }).max(most, { error }).default(standard);
};

const { softMessages, softBytes, maxMessages, maxBytes } = DEFAULT_LANDING_BOUNDS;

/** How much may wait in the landing queue of a group; see `LandingBounds`. */
export const landingOption = z
  .strictObject(
    {
      softMessages: whole(MOST_LANDED.messages, softMessages),
      softBytes: whole(MOST_LANDED.bytes, softBytes),
      maxMessages: whole(MOST_LANDED.messages, maxMessages),
      maxBytes: whole(MOST_LANDED.bytes, maxBytes),
    },
    { error: 'give { softMessages, softBytes, maxMessages, maxBytes }' },
  )
  .prefault({})
  .superRefine((bounds, context) => {
    const crossed = crossedBounds(bounds);
    if (crossed === null) return;
    const message = crossed.remedy.charAt(0).toLowerCase() + crossed.remedy.slice(1, -1);
    context.addIssue({ code: 'custom', path: [crossed.bound], message });
  });
