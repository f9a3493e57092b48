const MOST_NAMES = 10;

/**
 * Says which replies count from everybody, and what to write; null: there are none.
 *
 * @param commands - types of commands whose contracts name no service that handles them
 */
export function uncheckedReplies(commands: readonly string[]): string | null {
  const [first] = commands;
  if (first === undefined) return null;
  const names = commands.slice(0, MOST_NAMES).map((type) => `'${type}'`);
  const more = commands.length - names.length;
  const listed = more > 0 ? `${names.join(', ')} and ${String(more)} more` : names.join(', ');
  return (
    `Messages are not signed, and no service is named that handles ${listed}: a reply to such a command counts from ` +
    `every service that knows its id. Write that service into the contract, ` +
    `defineCommand()('${first}', { handledBy: 'its-service' }), or give the services the option signing.`
  );
}
