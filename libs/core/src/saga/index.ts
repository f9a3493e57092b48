export * from './saga-definition.js';
