//! XML, as little of it as collections need: elements with attributes.

use std::collections::HashMap;

use quick_xml::events::{BytesDecl, BytesEnd, BytesStart, Event};
use quick_xml::{Reader, Writer, XmlVersion};

use crate::LibraryError;

/// Writes elements one after the other, indented.
pub(crate) struct XmlOut(Writer<Vec<u8>>);

impl XmlOut {
    pub(crate) fn new() -> Result<Self, LibraryError> {
        let mut writer = Writer::new_with_indent(Vec::new(), b' ', 2);
        writer.write_event(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)))?;
        Ok(Self(writer))
    }

    pub(crate) fn start(
        &mut self,
        name: &str,
        attributes: &[(&str, &str)],
    ) -> Result<(), LibraryError> {
        Ok(self.0.write_event(Event::Start(element(name, attributes)))?)
    }

    pub(crate) fn empty(
        &mut self,
        name: &str,
        attributes: &[(&str, &str)],
    ) -> Result<(), LibraryError> {
        Ok(self.0.write_event(Event::Empty(element(name, attributes)))?)
    }

    pub(crate) fn end(&mut self, name: &str) -> Result<(), LibraryError> {
        Ok(self.0.write_event(Event::End(BytesEnd::new(name)))?)
    }

    pub(crate) fn finish(self) -> String {
        let mut text = String::from_utf8_lossy(&self.0.into_inner()).into_owned();
        text.push('\n');
        text
    }
}

/// Attributes whose value is empty are left out, and so are characters that XML cannot hold.
fn element<'a>(name: &'a str, attributes: &[(&'a str, &str)]) -> BytesStart<'a> {
    let mut element = BytesStart::new(name);
    for (key, value) in attributes.iter().filter(|(_, value)| !value.is_empty()) {
        let value: String = value.chars().filter(|c| !c.is_control()).collect();
        element.push_attribute((*key, value.as_str()));
    }
    element
}

/// Something in a document.
pub(crate) enum Node {
    /// An element begins.
    Start(Element),
    /// An element ends, by name; also one without content.
    End(String),
}

/// An element's name and attributes.
pub(crate) struct Element {
    pub(crate) name: String,
    attributes: HashMap<String, String>,
}

impl Element {
    pub(crate) fn text(&self, key: &str) -> Option<&str> {
        self.attributes.get(key).map(String::as_str).filter(|text| !text.is_empty())
    }

    /// A finite number.
    pub(crate) fn number(&self, key: &str) -> Option<f64> {
        self.text(key)?.trim().parse().ok().filter(|x: &f64| x.is_finite())
    }
}

/// All elements of a document of which `format` says what it is, in order.
pub(crate) fn nodes(text: &str, format: &'static str) -> Result<Vec<Node>, LibraryError> {
    let failed = |at: u64, reason: String| LibraryError::Format {
        format,
        reason: format!("{reason}, at byte {at}"),
    };
    let mut reader = Reader::from_str(text);
    let mut nodes = Vec::new();
    let mut depth = 0_usize;
    loop {
        let at = reader.buffer_position();
        let event = reader.read_event().map_err(|error| failed(at, error.to_string()))?;
        let is_empty = matches!(event, Event::Empty(_));
        match event {
            Event::Start(start) | Event::Empty(start) => {
                let name = start.name().0.to_owned();
                let mut attributes = HashMap::new();
                for attribute in start.attributes() {
                    let attribute = attribute.map_err(|error| failed(at, error.to_string()))?;
                    let value = attribute
                        .normalized_value(XmlVersion::Explicit1_0)
                        .map_err(|error| failed(at, error.to_string()))?;
                    attributes.insert(attribute.key.0.to_owned(), value.into_owned());
                }
                nodes.push(Node::Start(Element { name: name.clone(), attributes }));
                if is_empty {
                    nodes.push(Node::End(name));
                } else {
                    depth += 1;
                }
            }
            Event::End(end) => {
                depth = depth.saturating_sub(1);
                nodes.push(Node::End(end.name().0.to_owned()));
            }
            Event::Eof if depth > 0 => return Err(failed(at, "it ends too early".into())),
            Event::Eof => return Ok(nodes),
            _ => {}
        }
    }
}
