import type { ProcessRole } from '@sagaz/core';
import { callOf, sequence, table, together, TO_BEGIN, type Needed } from '../privileges/index.js';

/** The functions by which the policies of the tables find out which rows the role may see. */
const POLICIES = [callOf('unrestricted'), callOf('own_queues'), callOf('own_groups')];

/** The privileges of every process: readiness reads a table. */
const PRESENT = [...TO_BEGIN, ...POLICIES, table('subscription', 'SELECT')];

const PUBLISHING = [callOf('publish'), callOf('publish_one')];

const CONSUMING = [
  callOf('subscribe'),
  callOf('hand_over'),
  callOf('message_read'),
  callOf('message_pass'),
  table('slot_lease', 'SELECT', 'UPDATE'),
  table('slot_member', 'SELECT', 'INSERT', 'UPDATE', 'DELETE'),
  table('message', 'SELECT', 'UPDATE', 'DELETE'),
  sequence('message_seq', 'SELECT'),
];

/** The privileges for metrics, which the work does not need. */
const COUNTING = [table('queue', 'SELECT'), callOf('topic_lag')];

/** The privileges by the roles of a process. An engine consumes the replies to its commands. */
const BY_ROLE: Readonly<Record<ProcessRole, readonly Needed[]>> = {
  engine: CONSUMING,
  relay: PUBLISHING,
  consume: CONSUMING,
};

/** The privileges on the broker's schema without which a process with these roles cannot work. */
export function neededPrivileges(roles: readonly ProcessRole[]): readonly Needed[] {
  return together(PRESENT, ...roles.map((role) => BY_ROLE[role]));
}

/** All privileges of a service. Which topics and groups are its own is in the table `broker_grant`. */
export const SERVICE_PRIVILEGES = together(PRESENT, PUBLISHING, CONSUMING, COUNTING);
