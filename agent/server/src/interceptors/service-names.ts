import { Management } from '@kata-agent/protocol/management';

/** The service that is never gated: it reveals nothing and changes nothing. */
export const healthService = 'grpc.Health';

/** The service about the agent itself, which a listener serves by its `management`. */
export const managementService: string = Management.typeName;
