"""Which formats of strings a reader checks, and which only say how to show them."""

#: Pydantic's readers, and PURISTA's, refuse a string that is not of such a format.
CHECKED = frozenset(
    {
        *("date-time", "date", "time", "duration"),
        *("uuid", "uuid1", "uuid3", "uuid4", "uuid5", "uuid6", "uuid7", "uuid8"),
        *("email", "idn-email", "name-email", "hostname", "idn-hostname"),
        *("uri", "uri-reference", "iri", "multi-host-uri", "json-pointer", "regex"),
        *("ipv4", "ipv6", "ipv4network", "ipv6network", "ipvanyaddress"),
        *("ipvanynetwork", "ipvanyinterface", "ipv4interface", "ipv6interface"),
        *("json-string", "decimal", "color"),
    }
)
#: Any string will do.
SHOWN = frozenset({"password", "path", "textarea", "multi-line"})
