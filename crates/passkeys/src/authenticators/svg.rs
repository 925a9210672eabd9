//! Whether an SVG is a picture and nothing else. Pure.
//!
//! What is allowed is listed, and the rest is refused: shapes, paints, text,
//! filters, styles, and references inside the document. In `<img>` a browser would
//! neither run a script nor load anything; this holds also for whoever opens the
//! file, pastes it into a page, or uses a program that is less careful.

use std::collections::HashSet;

use roxmltree::{Document, Node, NodeType, ParsingOptions};

/// What a picture does not need.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unsafe {
    /// Not well-formed XML, or with a document type or entities of its own.
    #[error("it is not plain, well-formed XML")]
    NotXml,
    /// A declared encoding that another reader might believe.
    #[error("its XML declaration names an encoding other than UTF-8")]
    Encoding,
    /// Another document than an SVG.
    #[error("it is not an SVG document")]
    NotSvg,
    /// Instructions to programs, such as a style sheet elsewhere.
    #[error("it holds a processing instruction")]
    ProcessingInstruction,
    /// Script, foreign content, animation, links, raster pictures, or unknown.
    #[error("it holds the element {0:?}")]
    Element(String),
    /// An event handler, or a base that changes what references mean.
    #[error("it holds the attribute {0:?}")]
    Attribute(String),
    /// A reference that leads out of the document.
    #[error("its attribute {0:?} refers to something outside of it")]
    Reference(String),
    /// A style that loads something or hides what it says.
    #[error("a style in it loads something, or hides what it says")]
    Style,
    /// Text or a comment that is nothing to XML, and elements to a reader of HTML.
    #[error("it holds a text or comment that a web page could take for elements")]
    Ambiguous,
    /// Copies of copies, which grow without bound when drawn.
    #[error("it repeats elements that repeat elements")]
    Repetition,
}

/// Refuses whatever is not a still picture that stands alone.
pub(super) fn check(svg: &str) -> Result<(), Unsafe> {
    check_encoding(svg)?;
    let options = ParsingOptions {
        allow_dtd: false,
        nodes_limit: NODES_MAX,
        ..ParsingOptions::default()
    };
    let document = Document::parse_with_options(svg, options).map_err(|_| Unsafe::NotXml)?;
    let root = document.root_element();
    if root.tag_name().namespace() != Some(SVG) || root.tag_name().name() != "svg" {
        return Err(Unsafe::NotSvg);
    }
    for node in document.root().descendants() {
        match node.node_type() {
            NodeType::PI => return Err(Unsafe::ProcessingInstruction),
            NodeType::Element => check_element(node)?,
            NodeType::Comment | NodeType::Text => check_text(node)?,
            NodeType::Root => {}
        }
    }
    check_repetition(&document)
}

/// The text is UTF-8, and everybody has to read it so: what is harmless in one
/// encoding may be a script in another.
fn check_encoding(svg: &str) -> Result<(), Unsafe> {
    let svg = svg.strip_prefix('\u{feff}').unwrap_or(svg);
    let Some((declaration, _)) = svg
        .strip_prefix("<?xml")
        .and_then(|rest| rest.split_once("?>"))
    else {
        return Ok(());
    };
    let Some((_, encoding)) = declaration.split_once("encoding") else {
        return Ok(());
    };
    let encoding = encoding
        .trim()
        .trim_start_matches('=')
        .trim()
        .get(1..6)
        .unwrap_or_default();
    match encoding.eq_ignore_ascii_case("utf-8") {
        true => Ok(()),
        false => Err(Unsafe::Encoding),
    }
}

/// HTML ends a comment at once that begins with `>` or `->`, and knows no CDATA in
/// places: what follows would come to life in a page that the picture is pasted into.
fn check_text(node: Node<'_, '_>) -> Result<(), Unsafe> {
    let text = node.text().unwrap_or_default();
    let is_ambiguous = match node.is_comment() {
        true => text.starts_with('>') || text.starts_with("->"),
        false => text.contains('<'),
    };
    match is_ambiguous {
        true => Err(Unsafe::Ambiguous),
        false => Ok(()),
    }
}

fn check_element(element: Node<'_, '_>) -> Result<(), Unsafe> {
    let name = element.tag_name().name();
    let is_allowed = match element.tag_name().namespace() {
        Some(SVG) => ELEMENTS.contains(&name),
        // What drawing programs note for themselves; browsers do nothing with it, unless it has
        // no prefix and the reader is one of HTML.
        Some(other) => {
            let has_prefix = element.default_namespace() != Some(other);
            has_prefix && NOTES.iter().any(|notes| other.starts_with(notes))
        }
        None => false,
    };
    if !is_allowed {
        return Err(Unsafe::Element(name.to_owned()));
    }
    for attribute in element.attributes() {
        let (name, value) = (attribute.name(), attribute.value());
        let lower = name.to_ascii_lowercase();
        let is_base = attribute.namespace() == Some(XML) && lower == "base";
        if lower.starts_with("on") || is_base {
            return Err(Unsafe::Attribute(name.to_owned()));
        }
        if ["href", "src"].contains(&lower.as_str()) && !value.trim_start().starts_with('#') {
            return Err(Unsafe::Reference(name.to_owned()));
        }
        // Also of attributes that are no style: most paints may be written as one.
        check_style(value)?;
        if lower == "style" {
            check_rules(value)?;
        }
    }
    if name == "style" {
        let rules: String = element
            .descendants()
            .filter_map(|node| node.is_text().then(|| node.text()).flatten())
            .collect();
        check_style(&rules)?;
        check_rules(&rules)?;
    }
    Ok(())
}

/// No function that loads, unless it refers to an id of the document, and no
/// escapes, which could spell such a function.
fn check_style(text: &str) -> Result<(), Unsafe> {
    let lower = text.to_ascii_lowercase();
    let is_hidden = lower.contains('\\');
    let loads = LOADING.iter().any(|word| lower.contains(word));
    let leads_out = lower.split("url(").skip(1).any(|rest| {
        let target = rest.trim_start().trim_start_matches(['"', '\'']);
        !target.starts_with('#')
    });
    match is_hidden || loads || leads_out {
        true => Err(Unsafe::Style),
        false => Ok(()),
    }
}

/// No `@import`, `@font-face` or what may come; `@media` asks for a dark page.
fn check_rules(text: &str) -> Result<(), Unsafe> {
    let lower = text.to_ascii_lowercase();
    let is_allowed = |rule: &str| {
        let rest = rule.strip_prefix("media");
        rest.is_some_and(|rest| rest.starts_with(|first: char| !first.is_ascii_alphabetic()))
    };
    match lower.split('@').skip(1).all(is_allowed) {
        true => Ok(()),
        false => Err(Unsafe::Style),
    }
}

/// A `use` of something that holds a `use` doubles with every step.
fn check_repetition(document: &Document<'_>) -> Result<(), Unsafe> {
    let is_use = |node: &Node<'_, '_>| node.is_element() && node.tag_name().name() == "use";
    let mut repeating = HashSet::new();
    for node in document.descendants().filter(is_use) {
        repeating.extend(node.ancestors().filter_map(|node| node.attribute("id")));
    }
    let repeats = document.descendants().filter(is_use).any(|node| {
        node.attributes()
            .filter(|attribute| attribute.name() == "href")
            .any(|href| {
                let id = href.value().trim().trim_start_matches('#');
                // An escape in the fragment could name the same id.
                id.contains('%') || repeating.contains(id)
            })
    });
    match repeats {
        true => Err(Unsafe::Repetition),
        false => Ok(()),
    }
}

const SVG: &str = "http://www.w3.org/2000/svg";
const XML: &str = "http://www.w3.org/XML/1998/namespace";

/// What a still picture is made of.
const ELEMENTS: &[&str] = &[
    "svg",
    "g",
    "defs",
    "symbol",
    "use",
    "title",
    "desc",
    "metadata",
    "style",
    "switch",
    "path",
    "rect",
    "circle",
    "ellipse",
    "line",
    "polyline",
    "polygon",
    "text",
    "tspan",
    "textPath",
    "linearGradient",
    "radialGradient",
    "stop",
    "pattern",
    "clipPath",
    "mask",
    "marker",
    "filter",
    "feBlend",
    "feColorMatrix",
    "feComponentTransfer",
    "feComposite",
    "feConvolveMatrix",
    "feDiffuseLighting",
    "feDisplacementMap",
    "feDistantLight",
    "feDropShadow",
    "feFlood",
    "feFuncA",
    "feFuncB",
    "feFuncG",
    "feFuncR",
    "feGaussianBlur",
    "feMerge",
    "feMergeNode",
    "feMorphology",
    "feOffset",
    "fePointLight",
    "feSpecularLighting",
    "feSpotLight",
    "feTile",
    "feTurbulence",
];

/// Beginnings of the namespaces of drawing programs and of what they say about a work.
const NOTES: &[&str] = &[
    "http://www.inkscape.org/namespaces/",
    "http://sodipodi.sourceforge.net/",
    "http://www.w3.org/1999/02/22-rdf-syntax-ns#",
    "http://creativecommons.org/ns#",
    "http://web.resource.org/cc/",
    "http://purl.org/dc/elements/1.1/",
    "http://www.bohemiancoding.com/sketch/",
    "http://ns.adobe.com/",
];

/// Functions that take an address as a text, and ancient ways to run something.
const LOADING: &[&str] = &[
    "image(",
    "image-set(",
    "cross-fade(",
    "src(",
    "element(",
    "paint(",
    "expression(",
    "javascript:",
    "-moz-binding",
    "behavior:",
];

const NODES_MAX: u32 = 20_000;

#[cfg(test)]
mod tests {
    use super::*;

    /// A document with this inside.
    fn svg(inside: &str) -> String {
        format!(
            r#"<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"
                xmlns:h="http://www.w3.org/1999/xhtml" viewBox="0 0 8 8">{inside}</svg>"#
        )
    }

    #[test]
    fn pictures_as_drawing_programs_save_them_are_taken() {
        for inside in [
            r##"<path d="M0 0h1v1z" fill="#4285F4"/>"##,
            r##"<defs><linearGradient id="a"><stop offset="0" stop-color="#fff"/></linearGradient>
                <path id="p" d="M0 0"/></defs>
                <use xlink:href="#p" fill="url(#a)" transform="rotate(120 24 24)"/>
                <use href="#p" fill="url( '#a' )" style="fill:url(&quot;#a&quot;)"/>"##,
            "<defs><style>.cls-1{fill:#0078d4;stroke-width:0px;}</style></defs>
                <rect class=\"cls-1\" width=\"9\" height=\"9\"/>",
            "<style><![CDATA[@media (prefers-color-scheme: dark) { path { fill: #fff } }]]></style>",
            "<title>Caf\u{e9} &amp; &#x2603;</title><desc>A key</desc><!-- drawn by hand > -->",
            "<style>g>path{fill:red}</style>",
            r#"<metadata><r:RDF xmlns:r="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
                <c:Work xmlns:c="http://creativecommons.org/ns#" r:about="http://example.com"/>
                </r:RDF></metadata>"#,
            r#"<s:namedview xmlns:s="http://sodipodi.sourceforge.net/DTD/sodipodi-0.dtd"/>"#,
            r##"<filter id="f"><feGaussianBlur stdDeviation="1"/></filter>
                <g filter="url(#f)" data-name="icon@2x" xml:space="preserve"><text>A</text></g>"##,
            r##"<g id="twice"><use href="#p"/></g><path id="p" d="M0 0"/>"##,
        ] {
            assert_eq!(check(&svg(inside)), Ok(()), "{inside}");
        }
        for before in [
            "<?xml version=\"1.0\"?>",
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n",
            "<?xml version='1.0' encoding = 'utf-8' standalone=\"no\"?><!-- made with love -->",
            "\u{feff}",
        ] {
            assert_eq!(check(&format!("{before}{}", svg(""))), Ok(()), "{before}");
        }
    }

    #[test]
    fn what_a_picture_does_not_need_is_refused() {
        let element = |name: &str| Unsafe::Element(name.into());
        let attribute = |name: &str| Unsafe::Attribute(name.into());
        let reference = |name: &str| Unsafe::Reference(name.into());
        for (inside, reason) in [
            // Script, however it is dressed.
            ("<script>alert(1)</script>", element("script")),
            (
                "<script xlink:href=\"https://evil.net/x.js\"/>",
                element("script"),
            ),
            ("<h:script>alert(1)</h:script>", element("script")),
            (
                "<metadata><h:script>alert(1)</h:script></metadata>",
                element("script"),
            ),
            ("<g><defs><script/></defs></g>", element("script")),
            ("<handler type=\"text/javascript\"/>", element("handler")),
            ("<path onload=\"alert(1)\"/>", attribute("onload")),
            ("<g><path ONCLICK=\"alert(1)\"/></g>", attribute("ONCLICK")),
            (
                "<a xlink:href=\"javascript:alert(1)\"><text>x</text></a>",
                element("a"),
            ),
            (
                "<use xlink:href=\"javascript:alert(1)\"/>",
                reference("href"),
            ),
            (
                "<use href=\"java&#115;cript:alert(1)\"/>",
                reference("href"),
            ),
            // References that lead out.
            (
                "<use href=\"https://evil.net/x.svg#a\"/>",
                reference("href"),
            ),
            (
                "<use xlink:href=\"//evil.net/x.svg#a\"/>",
                reference("href"),
            ),
            ("<use href=\"x.svg#a\"/>", reference("href")),
            ("<use href=\"\"/>", reference("href")),
            (
                "<use href=\"data:image/svg+xml;base64,PHN2Zy8+#a\"/>",
                reference("href"),
            ),
            (
                "<linearGradient xlink:href=\"https://evil.net/#a\"/>",
                reference("href"),
            ),
            ("<path fill=\"url(https://evil.net/#a)\"/>", Unsafe::Style),
            (
                "<path fill=\"URL( 'https://evil.net/#a' )\"/>",
                Unsafe::Style,
            ),
            ("<path mask=\"url(#a) url(//evil.net/#a)\"/>", Unsafe::Style),
            (
                "<path mask=\"image-set('https://evil.net/a' 1x)\"/>",
                Unsafe::Style,
            ),
            (
                "<path fill=\"\\75rl(https://evil.net/#a)\"/>",
                Unsafe::Style,
            ),
            ("<path fill=\"url&#40;//evil.net/#a)\"/>", Unsafe::Style),
            (
                "<g xml:base=\"https://evil.net/\"><use href=\"#a\"/></g>",
                attribute("base"),
            ),
            // Styles that load.
            (
                "<style>@import 'https://evil.net/x.css';</style>",
                Unsafe::Style,
            ),
            ("<style>@IMPORT url(#a);</style>", Unsafe::Style),
            ("<style>@\\69mport 'x';</style>", Unsafe::Style),
            (
                "<style>@font-face{font-family:a;src:local(b)}</style>",
                Unsafe::Style,
            ),
            (
                "<style>path{fill:url(https://evil.net/)}</style>",
                Unsafe::Style,
            ),
            ("<style>path{fill:url(/**/#a)}</style>", Unsafe::Style),
            (
                "<style><![CDATA[path{fill:url(//evil.net)}]]></style>",
                Unsafe::Style,
            ),
            (
                "<style>path{fill:u<!-- -->rl(//evil.net)}</style>",
                Unsafe::Style,
            ),
            (
                "<path style=\"fill:url(data:image/png;base64,AA)\"/>",
                Unsafe::Style,
            ),
            ("<path style=\"@import 'x'\"/>", Unsafe::Style),
            ("<path style=\"-moz-binding:url(#a)\"/>", Unsafe::Style),
            (
                "<h:link rel=\"stylesheet\" href=\"//evil.net\"/>",
                element("link"),
            ),
            // Foreign content and raster pictures.
            (
                "<foreignObject><h:iframe src=\"//evil.net\"/></foreignObject>",
                element("foreignObject"),
            ),
            ("<h:body/>", element("body")),
            ("<x:y xmlns:x=\"urn:unknown\"/>", element("y")),
            ("<y xmlns=\"\"/>", element("y")),
            (
                "<image href=\"data:image/png;base64,iVBORw0KGgo=\"/>",
                element("image"),
            ),
            (
                "<image xlink:href=\"https://evil.net/pixel\"/>",
                element("image"),
            ),
            (
                "<filter><feImage href=\"#a\"/></filter>",
                element("feImage"),
            ),
            // Movement, also of what was checked already.
            (
                "<use href=\"#a\"><animate attributeName=\"href\" to=\"//evil.net\"/></use>",
                element("animate"),
            ),
            (
                "<use href=\"#a\"><set attributeName=\"href\" to=\"//evil.net\"/></use>",
                element("set"),
            ),
            (
                "<animateTransform attributeName=\"transform\"/>",
                element("animateTransform"),
            ),
            // Nothing in XML, and something in HTML.
            (
                "<!--><img src=\"x\" onerror=\"alert(1)\"/>-->",
                Unsafe::Ambiguous,
            ),
            ("<!---><script>alert(1)</script>-->", Unsafe::Ambiguous),
            (
                "<title><![CDATA[><img src=\"x\" onerror=\"alert(1)\">]]></title>",
                Unsafe::Ambiguous,
            ),
            (
                "<style><![CDATA[</style><script>alert(1)</script>]]></style>",
                Unsafe::Ambiguous,
            ),
            (
                "<metadata><iframe xmlns=\"http://ns.adobe.com/x/\" srcdoc=\"x\"/></metadata>",
                element("iframe"),
            ),
            // Copies of copies.
            (
                "<g id=\"a\"><path/></g><g id=\"b\"><use href=\"#a\"/><use href=\"#a\"/></g>\
                 <use href=\"#b\"/><use href=\"#b\"/>",
                Unsafe::Repetition,
            ),
            ("<use id=\"a\" xlink:href=\"#a\"/>", Unsafe::Repetition),
            (
                "<g id=\"b\"><use href=\"#a\"/></g><use href=\"#%62\"/>",
                Unsafe::Repetition,
            ),
            // Instructions and entities.
            (
                "<?xml-stylesheet href=\"//evil.net\"?>",
                Unsafe::ProcessingInstruction,
            ),
            ("&evil;", Unsafe::NotXml),
            ("<path", Unsafe::NotXml),
        ] {
            assert_eq!(check(&svg(inside)), Err(reason), "{inside}");
        }
    }

    #[test]
    fn a_document_that_is_no_plain_svg_is_refused() {
        let plain = svg("");
        for (document, reason) in [
            (String::new(), Unsafe::NotXml),
            ("\u{89}PNG".into(), Unsafe::NotXml),
            (format!("<!DOCTYPE svg>{plain}"), Unsafe::NotXml),
            (
                format!("<!DOCTYPE svg [<!ENTITY x SYSTEM \"file:///etc/passwd\">]>{plain}"),
                Unsafe::NotXml,
            ),
            (
                format!("<?xml-stylesheet type=\"text/css\" href=\"//evil.net\"?>{plain}"),
                Unsafe::ProcessingInstruction,
            ),
            (
                format!("<?xml version=\"1.0\" encoding=\"UTF-7\"?>{plain}"),
                Unsafe::Encoding,
            ),
            (
                format!("<?xml version=\"1.0\" encoding='utf-16'?>{plain}"),
                Unsafe::Encoding,
            ),
            ("<svg/>".into(), Unsafe::NotSvg),
            (
                "<html xmlns=\"http://www.w3.org/1999/xhtml\"/>".into(),
                Unsafe::NotSvg,
            ),
            (
                "<path xmlns=\"http://www.w3.org/2000/svg\"/>".into(),
                Unsafe::NotSvg,
            ),
            (svg(&"<g/>".repeat(20_000)), Unsafe::NotXml),
        ] {
            assert_eq!(check(&document), Err(reason), "{document:.80}");
        }
    }

    #[test]
    fn deep_nesting_ends_in_an_answer() {
        let deep = |depth: usize| svg(&format!("{}{}", "<g>".repeat(depth), "</g>".repeat(depth)));
        assert_eq!(check(&deep(9)), Ok(()));
        let _ = check(&deep(9_000));
        let _ = check(&svg(&"<g>".repeat(20_000)));
    }
}
