export { brokerCommand } from './broker.command.js';
export { groupsCommand } from './groups.command.js';
export { landingCommand } from './landing.command.js';
export { migrateCommand } from './migrate.command.js';
export { partitionCommand } from './partition.command.js';
export { sqlCommand } from './sql.command.js';
export { statusCommand } from './status.command.js';
