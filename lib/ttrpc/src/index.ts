export type { CallOptions, Channel, ChannelOptions } from './client/channel.js';
export { connect, createClient, type Client, type ClientMethod } from './client/client.js';
export { Code, codeName } from './status.js';
export type { Fault } from './fault.js';
export { forwardedService, inspectedService, type ForwardedCall } from './forward/forwarded-service.js';
export type {
  Admit,
  CallInfo,
  ClientCallInfo,
  ClientInterceptor,
  HandlerContext,
  Refusal,
  ServerInterceptor,
} from './interceptor.js';
export type { Limits } from './limits.js';
export type { Metadata, MetadataInit } from './message/envelopes.js';
export type { LendingStream } from './frame/lending-stream.js';
export type { Opaque } from './frame/payload.js';
export { scan } from './message/scan.js';
export type { Connection } from './server/server-connection.js';
export { createServer, type Server, type ServerOptions } from './server/server.js';
export {
  service,
  type Handler,
  type MethodImplementation,
  type ServiceImplementation,
  type ServiceRegistration,
} from './server/service.js';
export { TtrpcError } from './status.js';
export { type ContextKey, contextKey, ContextValues } from './interceptor.js';
