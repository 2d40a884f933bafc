variable "region" {
  description = "The Region of everything."
  type        = string
}

variable "cluster" {
  description = "The name of the ECS cluster that is made for daemon and apps."
  type        = string
  default     = "lamplighter"
}

variable "network" {
  description = "The VPC, and subnets of it that reach AWS and the images."
  type        = object({ vpc_id = string, subnet_ids = list(string) })
}

variable "load_balancer" {
  description = "Your Application Load Balancer: its HTTPS listener, whose certificate covers `*.DOMAIN`, its security group, and its name and zone in DNS."
  type        = object({ listener_arn = string, security_group_id = string, dns_name = string, zone_id = string })
}

variable "dns" {
  description = "The hosted zone, and the domain in it below which apps get their names."
  type        = object({ zone_id = string, domain = string })
}

variable "lamplighter_image" {
  description = "The daemon's image, with its version."
  type        = string
}

variable "app_image" {
  description = "The image of the example's app, with its version."
  type        = string
}

variable "app_port" {
  description = "The port the app listens on."
  type        = number
  default     = 8080
}

variable "app_health_path" {
  description = "Where the app says that it works."
  type        = string
  default     = "/"
}

variable "repository_arns" {
  description = "The ECR repositories of both images, if they are in ECR."
  type        = list(string)
  default     = []
}

variable "api_token_sha256" {
  description = "The hash of the portal's token: `printf %s \"$TOKEN\" | sha256sum`. The token itself belongs into no file of Terraform."
  type        = string
}

variable "secrets" {
  description = "Environment variables of the daemon and the addresses of the secrets they hold, such as the webhook's."
  type        = map(string)
  default     = {}
}

variable "terraform" {
  description = "Terraform's zip for builds, in a bucket of yours, and its digest."
  type        = object({ zip = string, sha256 = string })
  default     = null
}

variable "portal_security_group_ids" {
  description = "Who may connect to the API."
  type        = list(string)
  default     = []
}

variable "monitoring_security_group_ids" {
  description = "Who may connect to metrics and probes."
  type        = list(string)
  default     = []
}

variable "api_host" {
  description = "The host name at which the load balancer offers the API and the console, not below the apps' domain. Your certificate and your DNS have to have it. Left out: none."
  type        = string
  default     = null
  validation {
    condition     = var.api_host == null || can(regex("^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)+$", var.api_host))
    error_message = "api_host is \"${coalesce(var.api_host, "null")}\"; give a lower-case DNS name without a *, such as lamplighter.example.com."
  }
  validation {
    # An app may ask for any name there, and would then be sent the tokens of whoever means the API.
    condition     = var.api_host == null || !endswith(".${coalesce(var.api_host, "null")}", ".${var.dns.domain}")
    error_message = "api_host is \"${coalesce(var.api_host, "null")}\", and an app could have that name; give one that is not below ${var.dns.domain}."
  }
}

variable "portal_principals" {
  description = "Who may take the portal's role."
  type        = list(string)
  default     = []
}

variable "operator_principals" {
  description = "Who may take the operators' role."
  type        = list(string)
  default     = []
}

variable "events" {
  description = "Whether to make the queue of events."
  type        = bool
  default     = false
}

variable "deletion_protection" {
  description = "Whether the tables refuse to be deleted."
  type        = bool
  default     = true
}
