/** An operator says that the boot which owns a VM's name is gone for good: the next one may join at once, also of another pool. */
import * as z from 'zod';
import type { App } from '../http/app.js';
import { vmParams } from '../http/vm-routes.js';

export function releaseRoute(
  app: App,
  { release }: { readonly release: (vmId: string) => Promise<void> },
): void {
  app.post(
    '/api/v1/vms/:vm_id/release',
    {
      schema: {
        summary: "End a VM's sessions for good, so that another boot, of any pool, may join under its name",
        params: vmParams,
        response: { 200: z.object({ vm_id: z.string(), released: z.literal(true) }) },
      },
    },
    async (request) => {
      await release(request.params.vm_id);
      return { vm_id: request.params.vm_id, released: true as const };
    },
  );
}
