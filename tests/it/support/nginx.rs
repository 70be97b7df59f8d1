//! A real nginx as a proxy before a server of a test.

use std::process::Command;

use super::peers::{Started, free_port, peer};

/// nginx as a proxy before the server on a port, for WebSockets too; nothing where there is no nginx. `buffering` is what
/// `proxy_buffering` is set to.
pub fn through_nginx(folder: &std::path::Path, to: u16, buffering: &str) -> Option<(Started, u16)> {
    let nginx = peer("nginx")?;
    let port = free_port();
    let conf = folder.join(format!("nginx-{buffering}.conf"));
    let text = format!(
        "daemon off; master_process off; pid {folder}/nginx-{buffering}.pid; error_log stderr; worker_processes 1;
events {{ worker_connections 64; }}
http {{
  access_log off; client_body_temp_path {folder}/a; proxy_temp_path {folder}/b; fastcgi_temp_path {folder}/c;
  uwsgi_temp_path {folder}/d; scgi_temp_path {folder}/e;
  server {{
    listen 127.0.0.1:{port};
    location /page {{ default_type text/html; return 200 '<html></html>'; }}
    location / {{
      proxy_pass http://127.0.0.1:{to}; proxy_http_version 1.1;
      proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection \"upgrade\"; proxy_buffering {buffering};
    }}
  }}
}}",
        folder = folder.display()
    );
    std::fs::write(&conf, text).unwrap();
    let mut nginx = Started::new(Command::new(nginx).arg("-p").arg(folder).arg("-c").arg(&conf), folder);
    nginx.wait_for("listener", || std::net::TcpStream::connect(("127.0.0.1", port)).ok());
    Some((nginx, port))
}
