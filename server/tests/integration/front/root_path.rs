//! An application below a path.

use crate::support::Launch;

/// What a Flask application makes of where it is.
const FLASK: &str = "
from flask import Flask, jsonify, request, url_for

app = Flask(__name__)


@app.route('/cart')
def cart():
    return jsonify(
        inside=url_for('cart'),
        outside=url_for('cart', _external=True),
        url=request.url,
        remote=request.remote_addr,
        secure=request.is_secure,
    )
";

#[test]
fn the_path_is_shared_out_between_script_name_and_path_info() {
    let server = Launch::new("plain:app").fixed(1, 1).args("--root-path /shop/caf%C3%A9").start();
    let mut client = server.connect();
    for (target, script_name, path_info) in [
        ("/shop/caf%C3%A9/environ?a=b", "/shop/cafÃ©", "/environ"),
        ("/shop/caf%c3%a9/environ", "/shop/cafÃ©", "/environ"),
        // A proxy has taken it off.
        ("/environ", "/shop/cafÃ©", "/environ"),
    ] {
        let environ = client.get(target).json();
        assert_eq!(environ["SCRIPT_NAME"], script_name, "{target}");
        assert_eq!(environ["PATH_INFO"], path_info, "{target}");
        assert_eq!(environ["RAW_URI"], target);
    }
    let server = Launch::new("plain:app").fixed(1, 1).start();
    assert_eq!(server.get("/environ").json()["SCRIPT_NAME"], "");
}

#[test]
fn flask_makes_urls_below_the_path() {
    let launch =
        Launch::new("shop_site:app").venv().fixed(1, 1).with_module("shop_site", FLASK).args("--root-path /shop");
    let server = launch.start();
    for target in ["/shop/cart", "/cart"] {
        let seen = server.get(target).json();
        assert_eq!(seen["inside"], "/shop/cart", "{target}");
        assert_eq!(seen["outside"], "http://test/shop/cart", "{target}");
        assert_eq!(seen["url"], "http://test/shop/cart", "{target}");
    }
    assert_eq!(server.get("/shopping").status(), 404);
}

#[test]
fn flask_makes_urls_as_the_client_sees_them() {
    let names = "x-forwarded-for,x-forwarded-proto,x-forwarded-host,x-forwarded-prefix";
    let launch = Launch::new("shop_site:app").venv().fixed(1, 1).with_module("shop_site", FLASK);
    let server = launch.args("--forwarded-allow-ips 127.0.0.1 --forwarded-headers").arg(names).start();
    let headers = [
        ("X-Forwarded-For", "192.0.2.7"),
        ("X-Forwarded-Proto", "https"),
        ("X-Forwarded-Host", "shop.example:8443"),
        ("X-Forwarded-Prefix", "/shop"),
    ];
    let seen = server.connect().request("GET", "/cart", &headers, b"").json();
    assert_eq!(seen["inside"], "/shop/cart");
    assert_eq!(seen["outside"], "https://shop.example:8443/shop/cart");
    assert_eq!(seen["url"], "https://shop.example:8443/shop/cart");
    assert_eq!(seen["remote"], "192.0.2.7");
    assert_eq!(seen["secure"], true);
}
