import { createMemoryStore, type MemoryStore } from './memory-store.contract.js';
import { storeContract } from './store.contract.js';

storeContract(
  'in memory',
  async () => {
    let before: MemoryStore | undefined;
    return {
      open: async () => {
        before = createMemoryStore(
          before && {
            vms: [...before.vms.values()],
            commands: [...before.commands.values()],
            drains: [...before.drains.values()],
            workflowJobs: [...before.workflowJobs.values()],
            documents: before.documents,
            events: before.storedEvents,
          },
        );
        return before;
      },
      remove: async () => undefined,
    };
  },
  { keepsHistories: false },
);
