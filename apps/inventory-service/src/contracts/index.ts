export {
  ReleaseStock,
  ReserveStock,
  type ReleaseStockPayload,
  type ReserveStockPayload,
  type StockReserved,
} from './inventory.js';
export { OrderConfirmed, type OrderConfirmedPayload } from './order.js';
