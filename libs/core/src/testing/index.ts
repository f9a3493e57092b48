export {
  contractCase,
  freshName,
  runContract,
  type ContractCase,
  type ContractRunner,
} from './contract-case.js';
export * from './inbox/index.js';
