export { connectPartitions, type ConnectedPartitions } from './connect-partitions.js';
export {
  type ConversionOptions,
  type Converted,
  PartitionConversion,
} from './partition-conversion.js';
export { DAY_MS, dayOf, dayPartition, type PartitionedTable } from './partition-days.js';
export { PartitionUpkeep } from './partition-upkeep.js';
export { PartitionsBusyError, PartitionsForbiddenError } from './partitions.errors.js';
