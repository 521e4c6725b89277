//! The keys of `[dialect]`, for reading, messages and the JSON Schema.

use crate::config::shape::{Kind, Shape, may, must};

/// Most steps of an action.
pub(super) const MOST_STEPS: usize = 8;
/// Most events.
pub(super) const MOST_EVENTS: usize = 16;

pub(in crate::config) static DIALECT: Shape = Shape {
    of: "`dialect`",
    keys: &[
        must("version", Kind::Number(1, 1_000), "version of this description, counted up"),
        may("firmware", Kind::Text(80), "firmware it was written for, for people"),
        may(
            "fallback",
            Kind::Choice(&["refuse", "frame", "strip"]),
            "what happens to letters the device lacks; `refuse` unless said",
        ),
        may("detection", Kind::Table(&DETECTION), "where the device tells its firmware"),
        may("settings", Kind::Map(16), "settings that each device has, with an example"),
        must("transport", Kind::Table(&TRANSPORT), "how bytes reach the device"),
        may("topics", Kind::Map(24), "topics by name, with settings as `${name}`"),
        may("scales", Kind::TableMap(&SCALE, 16), "numbers as the device wants them"),
        may("maps", Kind::TableMap(&MAP, 16), "words as the device wants them"),
        must("actions", Kind::Table(&ACTIONS), "what is sent for each order"),
        may("clips", Kind::Table(&CLIPS), "how the device names clips"),
        may("presence", Kind::Table(&PRESENCE), "how the device shows that it is there"),
        may("events", Kind::Tables(&EVENT, MOST_EVENTS), "what its messages mean"),
        may("correlation", Kind::Table(&CORRELATION), "how an answer finds its order"),
        must("limits", Kind::Table(&LIMITS), "what the device can take"),
        may("timing", Kind::Table(&TIMING), "who ends things, and how long they take"),
        may("pixels", Kind::Table(&PIXELS), "pixels over UDP"),
    ],
};

static DETECTION: Shape = Shape {
    of: "`detection`",
    keys: &[
        must("topic", Kind::Text(32), "name of a topic"),
        may("at", Kind::Text(128), "JSON pointer; the whole payload unless said"),
        must("starts", Kind::Text(64), "how the version begins"),
    ],
};

static TRANSPORT: Shape = Shape {
    of: "`transport`",
    keys: &[
        must(
            "kind",
            Kind::Choice(&["mqtt", "http", "tcp", "serial", "udp"]),
            "mqtt, http, tcp, serial or udp",
        ),
        may("qos", Kind::Number(0, 1), "highest quality of service; 0 unless said"),
        may("keep_alive", Kind::Duration, "keep-alive of MQTT; `60s` unless said"),
        may("tls", Kind::Flag, "the device speaks TLS; `false` unless said"),
        may("base", Kind::Text(200), "address of HTTP: `http://${host}`"),
        may("address", Kind::Text(200), "address of TCP: `${host}:23`"),
        may("port", Kind::Text(200), "serial port: `${port}`"),
        may("baud", Kind::Number(300, 921_600), "speed of the serial port; 9600 unless said"),
        may("until", Kind::Text(4), "byte that ends an answer: `lf` (unless said), `cr`, or hex"),
    ],
};

static SCALE: Shape = Shape {
    of: "a scale",
    keys: &[
        must("points", Kind::Texts(16), "ours:theirs, as in `[\"0:0\", \"100:21\"]`"),
        may("decimals", Kind::Number(0, 3), "decimals of the result; 0 unless said"),
    ],
};

static MAP: Shape = Shape {
    of: "a map",
    keys: &[must("words", Kind::Map(32), "ours = \"theirs\"; \"*\" for every other word")],
};

static ACTIONS: Shape = Shape {
    of: "`actions`",
    keys: &[
        may("show_text", Kind::Tables(&STEP, MOST_STEPS), "shows a page as text"),
        may("show_frame", Kind::Tables(&STEP, MOST_STEPS), "shows a page as pixels"),
        may("play_clip", Kind::Tables(&STEP, MOST_STEPS), "plays a clip"),
        may("stop", Kind::Tables(&STEP, MOST_STEPS), "ends a play"),
        may("after", Kind::Tables(&STEP, MOST_STEPS), "follows every end of a play"),
        may("clear", Kind::Tables(&STEP, MOST_STEPS), "empties the board"),
        may("volume", Kind::Tables(&STEP, MOST_STEPS), "sets the volume"),
        may("brightness", Kind::Tables(&STEP, MOST_STEPS), "sets the brightness"),
        may("probe", Kind::Tables(&STEP, MOST_STEPS), "asks the device how it is"),
    ],
};

static STEP: Shape = Shape {
    of: "a step",
    keys: &[
        may("topic", Kind::Text(32), "name of a topic (MQTT)"),
        may("json", Kind::Lines(2_000), "payload as JSON; values are escaped"),
        may("raw", Kind::Lines(2_000), "payload as it is; none sends an empty one"),
        may("qos", Kind::Number(0, 1), "quality of service; the transport's unless said"),
        may("retain", Kind::Flag, "the broker keeps it; `false` unless said"),
        may("method", Kind::Choice(&["get", "post", "put"]), "method of HTTP; `post` unless said"),
        may("path", Kind::Text(500), "path and query of HTTP; values are percent-encoded"),
        may("form", Kind::Text(1_000), "body of a form; values are percent-encoded"),
        may("line", Kind::Text(1_000), "a line, with `${cr}`, `${lf}`, `${byte:02}`, `${xor8}`"),
        may("send", Kind::Choice(&["pixels", "sound"]), "the picture, or the clip by ourselves"),
        may("delay", Kind::Duration, "wait so long after the step before; none unless said"),
        may("again", Kind::Flag, "sending it twice does no harm; `true` but for `play_clip`"),
    ],
};

static CLIPS: Shape = Shape {
    of: "`clips`",
    keys: &[
        must(
            "by",
            Kind::Choice(&["url", "file", "slot", "gateway"]),
            "url: it fetches; file: a path on it; slot: a name of its own; gateway: we play",
        ),
        may("path", Kind::Text(100), "path of a clip on the device: `/${sha256|cut:16}.mp3`"),
    ],
};

static PRESENCE: Shape = Shape {
    of: "`presence`",
    keys: &[
        may("topic", Kind::Text(32), "name of a topic; any message counts unless said"),
        may("at", Kind::Text(128), "JSON pointer; the whole payload unless said"),
        may("online", Kind::Texts(8), "words that mean it is there"),
        may("offline", Kind::Texts(8), "words that mean it is not"),
        may("retained", Kind::Flag, "the broker keeps the word; `false` unless said"),
        may("stale_after", Kind::Duration, "nothing heard for so long: unknown"),
    ],
};

static EVENT: Shape = Shape {
    of: "an event",
    keys: &[
        may("topic", Kind::Text(32), "name of a topic (MQTT)"),
        may("from", Kind::Choice(&["answer", "line"]), "answers of HTTP, or lines"),
        must(
            "means",
            Kind::Choice(&[
                "accepted",
                "started",
                "finished",
                "failed",
                "screen",
                "electrical",
                "sensor",
            ]),
            "what it means when all conditions hold",
        ),
        must("when", Kind::Tables(&CONDITION, 4), "conditions, all of them"),
        may("keep", Kind::Texts(4), "JSON pointers of values to keep as evidence"),
    ],
};

static CONDITION: Shape = Shape {
    of: "a condition",
    keys: &[
        may("at", Kind::Text(128), "JSON pointer; the whole payload unless said"),
        may("is", Kind::Texts(8), "it is one of these"),
        may("is_not", Kind::Texts(8), "it is none of these"),
        may("has", Kind::Text(200), "it contains this"),
        may("ends", Kind::Text(200), "it ends with this"),
        may("least", Kind::Text(20), "it is a number, at least this"),
        may("most", Kind::Text(20), "it is a number, at most this"),
        may("pixels", Kind::Flag, "it is a list of colours, the picture that was sent"),
        may("present", Kind::Flag, "it is there and not null"),
    ],
};

static CORRELATION: Shape = Shape {
    of: "`correlation`",
    keys: &[
        must("by", Kind::Choice(&["id", "order"]), "a number it repeats, or the order of lines"),
        may("topic", Kind::Text(32), "name of the topic of answers"),
        may("request", Kind::Text(128), "JSON pointer of the number"),
        may("error", Kind::Text(128), "JSON pointer of what stands there when it refused"),
    ],
};

static LIMITS: Shape = Shape {
    of: "`limits`",
    keys: &[
        must("max_payload", Kind::Number(64, 131_072), "most bytes of a message"),
        may("text_max", Kind::Number(1, 10_000), "longest text; 255 unless said"),
        may(
            "unit",
            Kind::Choice(&["bytes", "chars", "px"]),
            "what a text is measured in; `bytes` unless said",
        ),
        may("char_px", Kind::Number(1, 64), "widest letter in pixels, for `px`; 8 unless said"),
        may("letters", Kind::Texts(32), "letters it draws; all unless said"),
        may("refuse", Kind::Texts(16), "what it takes for a command inside a text"),
        may("per_minute", Kind::Number(4, 6_000), "most messages a minute; 60 unless said"),
        may("gap", Kind::Duration, "least time between two messages; none unless said"),
    ],
};

static TIMING: Shape = Shape {
    of: "`timing`",
    keys: &[
        may(
            "ends",
            Kind::Choice(&["device", "scheduler"]),
            "who ends a play; `device` unless said",
        ),
        may("answer", Kind::Duration, "an answer comes within this; `5s` unless said"),
        may("retries", Kind::Number(0, 5), "repetitions of what may be repeated; 2 unless said"),
        may("start", Kind::Duration, "the start is known within this; `10s` unless said"),
        may("late", Kind::Duration, "a clip later than this is not begun; `2s` unless said"),
        may("tolerance", Kind::Duration, "a play is as long as planned within this; `3s`"),
        may("probe", Kind::Duration, "so long after a start the device is asked"),
        may("refresh", Kind::Duration, "a picture is sent again so often"),
    ],
};

static PIXELS: Shape = Shape {
    of: "`pixels`",
    keys: &[
        must(
            "protocol",
            Kind::Choice(&["ddp", "e131", "artnet", "wled-drgb", "wled-dnrgb"]),
            "how pixels are packed",
        ),
        must("host", Kind::Text(200), "address of the board: `${host}`"),
        may(
            "universe",
            Kind::Number(0, 63_999),
            "first universe; the protocol's first unless said",
        ),
        may("per_universe", Kind::Number(1, 170), "pixels of a universe; 170 unless said"),
    ],
};
