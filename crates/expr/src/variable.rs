//! The names that may follow a `$` or stand left in a `vars` comparison.
//!
//! The set is the one of the reference without plugins: nginx's variables that are used in practice, and those of `apisix/core/ctx.lua`.
//! What a name means is decided here, once, when the configuration is compiled; what its value is, by whoever implements [`Lookup`](crate::Lookup).

use std::borrow::Cow;
use std::fmt;

use crate::BodyPath;

/// Writes the enum, its names, its parser and its table from one list, so that they cannot disagree.
macro_rules! variables {
    (
        plain { $($(#[doc = $plain_doc:literal])* $plain:ident = $plain_name:literal $(| $alias:literal)*,)* }
        prefixed { $($(#[doc = $prefix_doc:literal])* $prefixed:ident = $prefix:literal,)* }
        headers { $($(#[doc = $header_doc:literal])* $header:ident = $header_prefix:literal,)* }
    ) => {
        /// A variable of a request, its name understood.
        ///
        /// Sources: `apisix/core/ctx.lua`, `docs/en/latest/apisix-variable.md`, `apisix/cli/ngx_tpl.lua` and nginx's index of variables.
        #[derive(Debug, Clone, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Variable {
            $($(#[doc = $plain_doc])* $plain,)*
            $($(#[doc = $prefix_doc])* $prefixed(Box<str>),)*
            $($(#[doc = $header_doc])* $header(Box<str>),)*
            /// What a JSON, form or multipart body has at a path, such as `model` or `messages[0].role`.
            PostPath(BodyPath),
            /// Any other name: absent, unless a plugin registers it.
            Unknown(Box<str>),
        }

        impl Variable {
            /// Every name and what it stands for, for documentation. `NAME` is the free part of a name.
            pub const TABLE: &[(&str, &str)] = &[
                $(($plain_name, concat!($($plain_doc),*)), $(($alias, concat!("The same as `", $plain_name, "`.")),)*)*
                $((concat!($prefix, "NAME"), concat!($($prefix_doc),*)),)*
                $((concat!($header_prefix, "NAME"), concat!($($header_doc),*)),)*
                ("post_arg.PATH", "What a JSON, form or multipart body has at a path, such as `model` or `messages[0].role`."),
            ];

            /// The variables without a free part, for tests.
            #[cfg(test)]
            const PLAIN: &[Self] = &[$(Self::$plain,)*];

            fn parse_exact(name: &str) -> Option<Self> {
                match name {
                    $($plain_name $(| $alias)* => return Some(Self::$plain),)*
                    _ => {}
                }
                if let Some(path) = name.strip_prefix(POST_PATH) {
                    return Some(Self::PostPath(BodyPath::new(path)));
                }
                $(if let Some(rest) = name.strip_prefix($prefix) {
                    return Some(Self::$prefixed(rest.into()));
                })*
                $(if let Some(rest) = name.strip_prefix($header_prefix) {
                    return Some(Self::$header(field_name(rest)));
                })*
                None
            }

            /// The name, as it is written behind a `$`. An alias gives the name of what it stands for.
            pub fn name(&self) -> Cow<'_, str> {
                match self {
                    $(Self::$plain => Cow::Borrowed($plain_name),)*
                    $(Self::$prefixed(rest) => Cow::Owned(format!(concat!($prefix, "{}"), rest)),)*
                    $(Self::$header(field) => Cow::Owned(format!(concat!($header_prefix, "{}"), field.replace('-', "_"))),)*
                    Self::PostPath(path) => Cow::Owned(format!("{POST_PATH}{}", path.text())),
                    Self::Unknown(name) => Cow::Borrowed(name),
                }
            }
        }
    };
}

/// What stands in front of a path into the body.
const POST_PATH: &str = "post_arg.";

variables! {
    plain {
        /// Path, percent-decoded and normalised, without arguments.
        Uri = "uri" | "document_uri",
        /// Target of the request line. In the reference the core rewrites it to the normalised path with the arguments; the original is [`Self::RealRequestUri`].
        RequestUri = "request_uri",
        /// Target of the request line as the client sent it.
        RealRequestUri = "real_request_uri",
        /// Query string without the `?`.
        Args = "args" | "query_string",
        /// `?` when there is a query string, else empty.
        IsArgs = "is_args",
        /// Host of the request: from the request line or the `Host` field, lower-cased, without port; else the server's name.
        Host = "host",
        /// Name of the machine.
        Hostname = "hostname",
        /// `http` or `https`.
        Scheme = "scheme",
        /// `on` for a request over TLS, else empty.
        Https = "https",
        /// Address that accepted the connection.
        ServerAddr = "server_addr",
        /// Port that accepted the connection.
        ServerPort = "server_port",
        /// Name of the server that took the request.
        ServerName = "server_name",
        /// Protocol and version of the request, such as `HTTP/1.1`.
        ServerProtocol = "server_protocol",
        /// Address of the client, after trusted forwarding fields were applied.
        RemoteAddr = "remote_addr",
        /// Address of the client in bytes: 4 of IPv4, 16 of IPv6.
        BinaryRemoteAddr = "binary_remote_addr",
        /// Port of the client.
        RemotePort = "remote_port",
        /// Address of the peer of the connection, whatever forwarding fields say.
        RealipRemoteAddr = "realip_remote_addr",
        /// Port of the peer of the connection, whatever forwarding fields say.
        RealipRemotePort = "realip_remote_port",
        /// User name of HTTP basic authentication.
        RemoteUser = "remote_user",
        /// The address of the PROXY protocol header.
        ProxyProtocolAddr = "proxy_protocol_addr",
        /// The port of the PROXY protocol header.
        ProxyProtocolPort = "proxy_protocol_port",
        /// The address that the PROXY protocol header says the client connected to.
        ProxyProtocolServerAddr = "proxy_protocol_server_addr",
        /// The port that the PROXY protocol header says the client connected to.
        ProxyProtocolServerPort = "proxy_protocol_server_port",
        /// `X-Forwarded-For` as it is sent on: the client's own list with the client's address behind.
        ProxyAddXForwardedFor = "proxy_add_x_forwarded_for",
        /// Name that the reference's nginx has for all upstreams.
        ProxyHost = "proxy_host",
        /// Port that belongs to `proxy_host`.
        ProxyPort = "proxy_port",
        /// `X-Forwarded-Host` of a request that no trusted proxy sent: its `Host`.
        VarXForwardedHost = "var_x_forwarded_host",
        /// `X-Forwarded-Port` of such a request: the port of its `Host`, else the one that accepted the connection.
        VarXForwardedPort = "var_x_forwarded_port",
        /// The whole request line.
        Request = "request",
        /// The request line as the proxy would send it again; set by plugins.
        RequestLine = "request_line",
        /// Method.
        RequestMethod = "request_method" | "method",
        /// Seconds with milliseconds since the first byte of the request.
        RequestTime = "request_time",
        /// Bytes of the request: line, header and body.
        RequestLength = "request_length",
        /// 32 random hexadecimal digits.
        RequestId = "request_id",
        /// Body of the request.
        RequestBody = "request_body",
        /// `OK` when the request was complete, else empty.
        RequestCompletion = "request_completion",
        /// Kind of request: `traditional_http`, `ai_chat` or `ai_stream`.
        RequestType = "request_type",
        /// Bytes of the response's body sent to the client.
        BodyBytesSent = "body_bytes_sent",
        /// Bytes sent to the client.
        BytesSent = "bytes_sent",
        /// Status of the response.
        Status = "status",
        /// Why the status is the gateway's own, such as `no route`; empty where it is not. Lockgate's, not the reference's.
        LockgateReason = "lockgate_reason",
        /// Addresses of the nodes tried, separated by commas.
        UpstreamAddr = "upstream_addr",
        /// Status of each try.
        UpstreamStatus = "upstream_status",
        /// Seconds with milliseconds until the end of the response, of each try.
        UpstreamResponseTime = "upstream_response_time",
        /// Seconds with milliseconds until the head of the response, of each try.
        UpstreamHeaderTime = "upstream_header_time",
        /// Seconds with milliseconds until the connection was made, of each try.
        UpstreamConnectTime = "upstream_connect_time",
        /// Bytes of the response, of each try.
        UpstreamResponseLength = "upstream_response_length",
        /// Bytes received from the node, of each try.
        UpstreamBytesReceived = "upstream_bytes_received",
        /// Bytes sent to the node, of each try.
        UpstreamBytesSent = "upstream_bytes_sent",
        /// `HIT`, `MISS`, `EXPIRED` and so on.
        UpstreamCacheStatus = "upstream_cache_status",
        /// Cache zone in use; set by `proxy-cache`.
        UpstreamCacheZone = "upstream_cache_zone",
        /// Where that zone lies; set by `proxy-cache`.
        UpstreamCacheZoneInfo = "upstream_cache_zone_info",
        /// Key in the cache; set by `proxy-cache`.
        UpstreamCacheKey = "upstream_cache_key",
        /// Whether the cache is not asked; set by `proxy-cache`.
        UpstreamCacheBypass = "upstream_cache_bypass",
        /// Whether the response is not cached; set by `proxy-cache`.
        UpstreamNoCache = "upstream_no_cache",
        /// Address that the request is mirrored to; set by `proxy-mirror`.
        UpstreamMirrorHost = "upstream_mirror_host",
        /// Target that the request is mirrored to; set by `proxy-mirror`.
        UpstreamMirrorUri = "upstream_mirror_uri",
        /// Path that a gRPC request is mirrored to; set by `proxy-mirror`.
        UpstreamMirrorGrpcPath = "upstream_mirror_grpc_path",
        /// Host name sent to the node.
        UpstreamHost = "upstream_host",
        /// Host of the picked node before it was resolved.
        UpstreamUnresolvedHost = "upstream_unresolved_host",
        /// Target sent to the node.
        UpstreamUri = "upstream_uri",
        /// Scheme spoken with the node.
        UpstreamScheme = "upstream_scheme",
        /// `Upgrade` sent to the node.
        UpstreamUpgrade = "upstream_upgrade",
        /// `Connection` sent to the node.
        UpstreamConnection = "upstream_connection",
        /// Time in the upstream as the reference's loggers count it.
        ApisixUpstreamResponseTime = "apisix_upstream_response_time",
        /// Seconds with milliseconds since the epoch.
        Msec = "msec",
        /// Local time in the common log format.
        TimeLocal = "time_local",
        /// Local time in ISO 8601.
        TimeIso8601 = "time_iso8601",
        /// Number of the connection.
        Connection = "connection",
        /// Requests so far on the connection.
        ConnectionRequests = "connection_requests",
        /// Seconds with milliseconds the connection has lived.
        ConnectionTime = "connection_time",
        /// `p` for a pipelined request, else `.`.
        Pipe = "pipe",
        /// `h2`, `h2c` or empty.
        Http2 = "http2",
        /// `h3` or empty.
        Http3 = "http3",
        /// `Content-Type` of the request.
        ContentType = "content_type",
        /// `Content-Length` of the request.
        ContentLength = "content_length",
        /// Version of nginx the reference is built on.
        NginxVersion = "nginx_version",
        /// Number of the process.
        Pid = "pid",
        /// Cipher of the client's TLS connection.
        SslCipher = "ssl_cipher",
        /// Protocol of the client's TLS connection.
        SslProtocol = "ssl_protocol",
        /// Server name the client asked for.
        SslServerName = "ssl_server_name",
        /// `r` for a resumed TLS session, else `.`.
        SslSessionReused = "ssl_session_reused",
        /// Identifier of the TLS session.
        SslSessionId = "ssl_session_id",
        /// Protocol chosen by ALPN.
        SslAlpnProtocol = "ssl_alpn_protocol",
        /// `SUCCESS`, `FAILED:reason` or `NONE`.
        SslClientVerify = "ssl_client_verify",
        /// Subject of the client's certificate.
        SslClientSDn = "ssl_client_s_dn",
        /// Issuer of the client's certificate.
        SslClientIDn = "ssl_client_i_dn",
        /// Serial number of the client's certificate.
        SslClientSerial = "ssl_client_serial",
        /// SHA-1 of the client's certificate.
        SslClientFingerprint = "ssl_client_fingerprint",
        /// Client's certificate in PEM.
        SslClientRawCert = "ssl_client_raw_cert",
        /// Client's certificate in PEM, percent-encoded.
        SslClientEscapedCert = "ssl_client_escaped_cert",
        /// Name of the operation in a GraphQL request.
        GraphqlName = "graphql_name",
        /// Kind of the operation in a GraphQL request.
        GraphqlOperation = "graphql_operation",
        /// List of the top-level fields of a GraphQL request.
        GraphqlRootFields = "graphql_root_fields",
        /// Address of the picked node.
        BalancerIp = "balancer_ip",
        /// Port of the picked node.
        BalancerPort = "balancer_port",
        /// Id of the matched route.
        RouteId = "route_id",
        /// Name of the matched route.
        RouteName = "route_name",
        /// Id of the matched route's service.
        ServiceId = "service_id",
        /// Name of the matched route's service.
        ServiceName = "service_name",
        /// Name of the consumer.
        ConsumerName = "consumer_name",
        /// Group of the consumer.
        ConsumerGroupId = "consumer_group_id",
        /// Id of the request, changed by the `request-id` plugin.
        ApisixRequestId = "apisix_request_id",
        /// Body of the response, where a logger asked for it.
        RespBody = "resp_body",
        /// What the limiting plugins have to say about the request.
        RateLimitingInfo = "rate_limiting_info",
        /// Model that the request names; set by the AI plugins.
        RequestLlmModel = "request_llm_model",
        /// Model that answered; set by the AI plugins.
        LlmModel = "llm_model",
        /// Milliseconds until the first token; set by the AI plugins.
        LlmTimeToFirstToken = "llm_time_to_first_token",
        /// Tokens of the prompt; set by the AI plugins.
        LlmPromptTokens = "llm_prompt_tokens",
        /// Tokens of the answer; set by the AI plugins.
        LlmCompletionTokens = "llm_completion_tokens",
        /// Tokens of both; set by the AI plugins.
        LlmTotalTokens = "llm_total_tokens",
        /// Whether the answer is streamed; set by the AI plugins.
        LlmStream = "llm_stream",
        /// Whether the answer calls tools; set by the AI plugins.
        LlmHasToolCalls = "llm_has_tool_calls",
        /// Tools that the request offers; set by the AI plugins.
        LlmToolCount = "llm_tool_count",
        /// User that the request names; set by the AI plugins.
        LlmEndUserId = "llm_end_user_id",
        /// Tokens read from the model's cache; set by the AI plugins.
        LlmCacheReadInputTokens = "llm_cache_read_input_tokens",
        /// Tokens written to the model's cache; set by the AI plugins.
        LlmCacheCreationInputTokens = "llm_cache_creation_input_tokens",
        /// Tokens spent on reasoning; set by the AI plugins.
        LlmReasoningTokens = "llm_reasoning_tokens",
        /// How risky the content was found; set by the AI plugins.
        LlmContentRiskLevel = "llm_content_risk_level",
        /// `traceparent` of the request's span; set by `opentelemetry`.
        OpentelemetryContextTraceparent = "opentelemetry_context_traceparent",
        /// Id of the request's trace; set by `opentelemetry`.
        OpentelemetryTraceId = "opentelemetry_trace_id",
        /// Id of the request's span; set by `opentelemetry`.
        OpentelemetrySpanId = "opentelemetry_span_id",
        /// `traceparent` of the request's span; set by `zipkin`.
        ZipkinContextTraceparent = "zipkin_context_traceparent",
        /// Id of the request's trace; set by `zipkin`.
        ZipkinTraceId = "zipkin_trace_id",
        /// Id of the request's span; set by `zipkin`.
        ZipkinSpanId = "zipkin_span_id",
        /// Client id of an MQTT session; set by `mqtt-proxy`.
        MqttClientId = "mqtt_client_id",
        /// Command of a Redis session; set by its protocol.
        RedisCmdLine = "redis_cmd_line",
        /// Seconds that one call of a stream protocol took; set by its protocol.
        RpcTime = "rpc_time",
        /// `X-Forwarded-For` as it came.
        OriginalXForwardedFor = "original_x_forwarded_for",
        /// `X-Forwarded-Proto` as it came.
        OriginalXForwardedProto = "original_x_forwarded_proto",
        /// `X-Forwarded-Host` as it came.
        OriginalXForwardedHost = "original_x_forwarded_host",
        /// `X-Forwarded-Port` as it came.
        OriginalXForwardedPort = "original_x_forwarded_port",
        /// `Forwarded` as it came.
        OriginalForwarded = "original_forwarded",
    }
    prefixed {
        /// First argument of this name in the query string.
        Arg = "arg_",
        /// Cookie of this name.
        Cookie = "cookie_",
        /// First argument of this name in a form body.
        PostArg = "post_arg_",
        /// Parameter of the matched path.
        UriParam = "uri_param_",
        /// Cookie that the upstream sets.
        UpstreamCookie = "upstream_cookie_",
    }
    headers {
        /// Field of the request's header, by its lower-case name; `_` stands for `-` and for itself.
        Header = "http_",
        /// Field of the response's header, by its lower-case name; `_` stands for `-` and for itself.
        SentHeader = "sent_http_",
        /// Field of the upstream's response header, by its lower-case name; `_` stands for `-` and for itself.
        UpstreamHeader = "upstream_http_",
    }
}

/// A header field as variables spell it: `X_Request_ID` means the field `x-request-id`.
fn field_name(spelled: &str) -> Box<str> {
    spelled
        .to_ascii_lowercase()
        .replace('_', "-")
        .into_boxed_str()
}

impl Variable {
    /// Understands a name. Names are exact, but as nginx does, a name that is not known is tried again in lower case.
    pub fn parse(name: &str) -> Self {
        if let Some(variable) = Self::parse_exact(name) {
            return variable;
        }
        if name.bytes().any(|byte| byte.is_ascii_uppercase())
            && let Some(variable) = Self::parse_exact(&name.to_ascii_lowercase())
        {
            return variable;
        }
        Self::Unknown(name.into())
    }
}

impl fmt::Display for Variable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_plain_name_parses_to_its_variable() {
        for variable in Variable::PLAIN {
            assert_eq!(&Variable::parse(&variable.name()), variable);
        }
    }

    #[test]
    fn prefixes_keep_the_rest_of_the_name() {
        let check = |name: &str, expected: Variable| {
            assert_eq!(Variable::parse(name), expected);
        };
        check("arg_Foo", Variable::Arg("Foo".into()));
        check("cookie_k", Variable::Cookie("k".into()));
        check("post_arg_k", Variable::PostArg("k".into()));
        check(
            "post_arg.messages[0].role",
            Variable::PostPath(BodyPath::new("messages[0].role")),
        );
        check("uri_param_name", Variable::UriParam("name".into()));
        check("http_X-Api_Key", Variable::Header("x-api-key".into()));
        check(
            "sent_http_content_type",
            Variable::SentHeader("content-type".into()),
        );
        check(
            "upstream_http_server",
            Variable::UpstreamHeader("server".into()),
        );
        check("http2", Variable::Http2);
        check("URI", Variable::Uri);
        check("HTTP_HOST", Variable::Header("host".into()));
        check("method", Variable::RequestMethod);
        check("no_such", Variable::Unknown("no_such".into()));
        check("", Variable::Unknown("".into()));
    }

    #[test]
    fn names_are_written_as_variables() {
        assert_eq!(
            Variable::parse("http_X-Api-Key").to_string(),
            "http_x_api_key"
        );
        assert_eq!(Variable::parse("arg_Foo").to_string(), "arg_Foo");
        assert_eq!(Variable::parse("query_string").to_string(), "args");
    }
}
