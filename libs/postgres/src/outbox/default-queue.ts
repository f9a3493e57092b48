/** The queue of messages that name no destination, as the migration makes it. */
export const DEFAULT_QUEUE = { queue: 'outbox:default', number: 1 } as const;
